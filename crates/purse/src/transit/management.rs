//! File 0017, management information of JT/T 978, 60 bytes. [sheet 5.3]

use super::layout;

layout! {
    /// Management information.
    Management [60];
    COUNTRY = 0 + 4, "country, 00000156";
    PROVINCE = 4 + 2, "province";
    CITY = 6 + 2, "city";
    /// 0000 local, 0001 valid in other cities.
    INTEROP = 8 + 2, "interoperability flag";
    CARD_TYPE = 10 + 1, "card type";
    RFU = 11 + 49, "reserved";
}

impl Management {
    /// Whether the card is valid outside its own city.
    #[must_use]
    pub fn is_interoperable(&self) -> bool {
        self.get(INTEROP) == [0x00, 0x01]
    }

    /// The kind of card: ordinary, student, senior and so on, numbered by the issuer.
    #[must_use]
    pub fn card_type(&self) -> u8 {
        let [card_type] = self.get(CARD_TYPE);
        card_type
    }
}
