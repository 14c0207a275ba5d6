//! The data groupings (DGIs) by which a payment card is personalised; written by the host, read by the card.
