//! The book the day is judged by. It knows money and riders, and nothing of cards, engines or hosts: it is told what was
//! issued, loaded and collected, and compares with what the cards say.

use std::collections::BTreeMap;

/// One rider's page.
#[derive(Clone, Debug, Default)]
struct Page {
    issued: u64,
    loaded: u64,
    collected: u64,
    /// Counters of the payments that were collected.
    payments: Vec<u16>,
}

/// The book.
#[derive(Debug, Default)]
pub struct Ledger {
    pages: Vec<Page>,
    /// What the witness saw of torn transactions: whether the card's counter or balance moved, by terminal, terminal number
    /// and card counter.
    torn: BTreeMap<Event, bool>,
    pub right: u32,
    pub wrong: u32,
}

/// What names a torn transaction: rider, card counter, terminal, terminal number.
pub type Event = (usize, u16, [u8; 6], u32);

/// Sums and contradictions, fen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Balance {
    pub issued: u64,
    pub loaded: u64,
    pub collected: u64,
    pub on_cards: u64,
    /// Riders whose card holds something else than the book says.
    pub riders: u32,
    /// Counters of cards that no collected payment accounts for, or more than one.
    pub counters: u32,
}

impl Balance {
    /// Issued + loaded − collected − on cards.
    pub fn difference(&self) -> i128 {
        i128::from(self.issued) + i128::from(self.loaded)
            - i128::from(self.collected)
            - i128::from(self.on_cards)
    }

    pub fn holds(&self) -> bool {
        self.difference() == 0 && self.riders == 0 && self.counters == 0
    }
}

impl Ledger {
    pub fn issue(&mut self, fen: u64) {
        self.pages.push(Page { issued: fen, ..Page::default() });
    }

    pub fn load(&mut self, rider: usize, fen: u32) {
        self.pages[rider].loaded += u64::from(fen);
    }

    pub fn collect(&mut self, rider: usize, fen: u32, counter: u16) {
        let page = &mut self.pages[rider];
        page.collected += u64::from(fen);
        page.payments.push(counter);
    }

    /// A transaction was torn; the witness saw whether it happened.
    pub fn tear(&mut self, event: Event, happened: bool) {
        self.torn.insert(event, happened);
    }

    /// Terminals or hosts found out what became of it.
    pub fn decide(&mut self, event: Event, happened: bool) {
        if self.torn.remove(&event) == Some(happened) { self.right += 1 } else { self.wrong += 1 }
    }

    /// Torn transactions nobody has decided.
    pub fn open(&self) -> usize {
        self.torn.len()
    }

    /// Closes the book with what each card says: balance and offline counter.
    pub fn close(&mut self, cards: impl Iterator<Item = (u32, u16)>) -> Balance {
        let mut sum = Balance::default();
        for (page, (balance, counter)) in self.pages.iter_mut().zip(cards) {
            sum.issued += page.issued;
            sum.loaded += page.loaded;
            sum.collected += page.collected;
            sum.on_cards += u64::from(balance);
            sum.riders += u32::from(page.issued + page.loaded != page.collected + u64::from(balance));
            page.payments.sort_unstable();
            sum.counters += u32::from(!page.payments.iter().copied().eq(0..counter));
        }
        sum
    }
}
