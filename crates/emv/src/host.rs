//! The issuer side: authorisation, scripts, certificates and personalisation data.
