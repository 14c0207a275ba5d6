use core::fmt;

use super::{Event, Item, Label, Meaning};

/// Where the parts of an annotation go, and how deep the next one stands.
pub(super) struct Out<'v> {
    visit: &'v mut dyn FnMut(Event<'_>) -> fmt::Result,
    depth: usize,
}

impl<'v> Out<'v> {
    pub(super) fn new(visit: &'v mut dyn FnMut(Event<'_>) -> fmt::Result) -> Self {
        Self { visit, depth: 0 }
    }

    pub(super) fn event(&mut self, event: Event<'_>) -> fmt::Result {
        (self.visit)(event)
    }

    /// What `parts` gives stands one deeper.
    pub(super) fn inside(&mut self, parts: impl FnOnce(&mut Self) -> fmt::Result) -> fmt::Result {
        self.depth = self.depth.saturating_add(1);
        let result = parts(self);
        self.depth = self.depth.saturating_sub(1);
        result
    }

    /// A field known by its place.
    pub(super) fn field(
        &mut self,
        at: usize,
        name: &'static str,
        bytes: &[u8],
        meaning: Meaning<'_>,
    ) -> fmt::Result {
        self.item(at, None, Some(name), bytes, meaning, false)
    }

    pub(super) fn item(
        &mut self,
        at: usize,
        label: Option<Label>,
        name: Option<&'static str>,
        bytes: &[u8],
        meaning: Meaning<'_>,
        is_template: bool,
    ) -> fmt::Result {
        let depth = self.depth;
        self.event(Event::Item(Item { depth, at, label, name, bytes, meaning, is_template }))
    }

    pub(super) fn says(&mut self, text: fmt::Arguments<'_>) -> fmt::Result {
        let depth = self.depth;
        self.event(Event::Says { depth, text })
    }

    pub(super) fn malformed(&mut self, at: usize, what: fmt::Arguments<'_>) -> fmt::Result {
        let depth = self.depth;
        self.event(Event::Malformed { depth, at, what })
    }

    /// Bytes nobody can say anything about; nothing if there are none.
    pub(super) fn unknown(&mut self, at: usize, name: &'static str, bytes: &[u8]) -> fmt::Result {
        if bytes.is_empty() { Ok(()) } else { self.field(at, name, bytes, Meaning::None) }
    }
}
