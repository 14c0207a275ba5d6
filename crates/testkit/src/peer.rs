//! A byte peer that plays one transcript.

use crate::vectors::Block;

/// A peer that knows one transcript: it answers each expected message and panics on the first wrong byte, on a
/// message past the end, and, when dropped, on messages that never came.
///
/// ```
/// let mut card = huiwan_testkit::ScriptedPeer::new([("00A4040000", "6A82"), ("80CA9F7F00", "6A88")]);
/// assert_eq!(card.exchange(&[0x00, 0xA4, 0x04, 0x00, 0x00]), [0x6A, 0x82]);
/// assert_eq!(card.exchange(&[0x80, 0xCA, 0x9F, 0x7F, 0x00]), [0x6A, 0x88]);
/// card.finish();
/// ```
#[derive(Debug)]
pub struct ScriptedPeer {
    steps: Vec<(Vec<u8>, Vec<u8>)>,
    next: usize,
}

impl ScriptedPeer {
    /// A peer from pairs of (message expected, answer), both hexadecimal.
    #[track_caller]
    pub fn new<'a>(steps: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self::from_bytes(steps.into_iter().map(|(message, answer)| (crate::hex(message), crate::hex(answer))))
    }

    /// A peer from pairs of (message expected, answer).
    pub fn from_bytes(steps: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Self {
        Self { steps: steps.into_iter().collect(), next: 0 }
    }

    /// A peer from the `steps.N.command` and `steps.N.response` lines of a vector block.
    #[must_use]
    #[track_caller]
    pub fn from_block(block: &Block<'_>) -> Self {
        let steps = (0..)
            .map_while(|n| {
                let command = block.get(&format!("steps.{n}.command"))?;
                Some((crate::hex(command), block.bytes(&format!("steps.{n}.response"))))
            })
            .collect::<Vec<_>>();
        assert!(!steps.is_empty(), "vector {}: no steps.0.command", block.id());
        Self { steps, next: 0 }
    }

    /// Takes one message and answers it.
    ///
    /// # Panics
    /// When it is not, byte for byte, the message the transcript has here.
    #[track_caller]
    pub fn exchange(&mut self, message: &[u8]) -> Vec<u8> {
        let step = self.next;
        let Some((expected, answer)) = self.steps.get(step) else {
            panic!("step {step}: the transcript is over, got {}", upper_hex(message));
        };
        if expected != message {
            let at = expected.iter().zip(message).take_while(|(a, b)| a == b).count();
            panic!(
                "step {step}: differs from byte {at} on\nexpected {}\n     got {}",
                upper_hex(expected),
                upper_hex(message)
            );
        }
        self.next += 1;
        answer.clone()
    }

    /// How many messages are still expected.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.steps.len() - self.next
    }

    /// Ends the play.
    ///
    /// # Panics
    /// When messages of the transcript never came.
    #[track_caller]
    pub fn finish(self) {
        assert_eq!(self.remaining(), 0, "messages of the transcript that never came");
    }
}

impl Drop for ScriptedPeer {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.remaining(), 0, "messages of the transcript that never came");
        }
    }
}

fn upper_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "step 0: differs from byte 1 on")]
    fn a_wrong_byte_is_named() {
        let _ = ScriptedPeer::new([("0102", "9000")]).exchange(&[1, 3]);
    }

    #[test]
    #[should_panic(expected = "step 0: differs from byte 1 on")]
    fn a_short_message_is_wrong() {
        let _ = ScriptedPeer::new([("0102", "9000")]).exchange(&[1]);
    }

    #[test]
    #[should_panic(expected = "the transcript is over")]
    fn a_message_too_many_is_wrong() {
        let mut peer = ScriptedPeer::new([("01", "9000")]);
        peer.exchange(&[1]);
        peer.exchange(&[1]);
    }

    #[test]
    #[should_panic(expected = "never came")]
    fn a_message_too_few_is_wrong() {
        drop(ScriptedPeer::new([("01", "9000")]));
    }
}
