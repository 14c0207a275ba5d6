//! The card side: the contactless directory (PPSE) and the qPBOC payment application.
