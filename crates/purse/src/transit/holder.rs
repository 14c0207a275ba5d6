//! File 0016, card holder, 55 bytes. [sheet 5.3]

use super::layout;

layout! {
    /// Card holder information.
    Holder [55];
    CARD_TYPE = 0 + 1, "card type";
    STAFF = 1 + 1, "staff flag";
    NAME = 2 + 20, "name";
    DOCUMENT_NUMBER = 22 + 32, "identity document number";
    DOCUMENT_TYPE = 54 + 1, "identity document type";
}
