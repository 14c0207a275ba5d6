//! Data objects: tags, formats and bit fields.
