//! The band on the wrist, and the three ways to talk to its secure element.

use huiwan::element::SecureElement;
use huiwan::relay::{self, Answer, Request};
use huiwan_card::{DateTime, Environment, Interface, Journal, Module, RamFlash};
use huiwan_gp::card::{CardProfile, Factory, Registry, format};
use huiwan_purse::terminal::drive::Transport;
use huiwan_testkit::rng::Seeded;

use crate::ble::Ble;
use crate::narrator::{Narrator, Wire};

/// The element's flash, and the objects its journal keeps track of.
pub type Flash = RamFlash<131_072>;
pub type Memory = Journal<Flash, 384>;

static PROFILE: CardProfile = CardProfile::DEFAULT;

/// A wristband: a secure element and the radio of its microcontroller.
pub struct Band<'m> {
    pub element: SecureElement<'m, Memory>,
    /// The element's own randomness.
    random: Seeded,
    ble: Ble,
    pub serial: [u8; 4],
}

impl<'m> Band<'m> {
    /// As it leaves the factory: a card manager with the factory's key, nothing else.
    pub fn blank(modules: &'m [&'m dyn Module], serial: [u8; 4], keys: [&[u8]; 3], seed: u64) -> Self {
        let mut memory = Memory::format(Flash::new()).expect("an erased flash can be formatted");
        let factory =
            Factory { keys, ..Factory::TEST.with_key_version(huiwan_gp::card::INITIAL_KEY_VERSION) };
        format(&mut memory, &factory.with_serial(serial)).expect("the first state fits");
        Self {
            element: SecureElement::new(modules, Registry::new(&PROFILE), memory),
            random: Seeded::new(seed),
            ble: Ble::new(seed ^ 0xB1E),
            serial,
        }
    }

    pub const fn air(&self) -> &Ble {
        &self.ble
    }
}

/// A way to the element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The band held to a terminal.
    Antenna,
    /// Server, phone, BLE, band.
    Air,
    /// The band's own microcontroller, for its screen.
    Screen,
}

/// Everything the story takes place in.
pub struct World<'m> {
    pub narrator: Narrator,
    pub band: Band<'m>,
    /// Randomness of terminals and hosts.
    pub random: Seeded,
    pub now: DateTime,
}

impl<'m> World<'m> {
    /// Opens a way to the element, which powers it, for the time of `talk`.
    pub fn talk<T>(
        &mut self,
        route: Route,
        from: &'static str,
        to: &'static str,
        talk: impl FnOnce(&mut Line<'_, 'm>) -> T,
    ) -> T {
        let mut line = Line { world: self, route, from, to, tear: None, gone: false, answer: Vec::new() };
        line.power(true);
        let result = talk(&mut line);
        line.power(false);
        result
    }

    /// Lets time pass.
    pub fn wait(&mut self, minutes: u8) {
        let later = u32::from(self.now.minute) + u32::from(minutes);
        self.now.minute = u8::try_from(later % 60).expect("below 60");
        self.now.hour += u8::try_from(later / 60).expect("a few hours");
    }
}

/// A conversation with the element.
pub struct Line<'w, 'm> {
    pub world: &'w mut World<'m>,
    route: Route,
    from: &'static str,
    to: &'static str,
    /// The wrist leaves the field when the command with this instruction has been carried out.
    tear: Option<u8>,
    gone: bool,
    answer: Vec<u8>,
}

impl Line<'_, '_> {
    /// The answer to the next command with this instruction will not arrive.
    pub const fn tear_at(&mut self, instruction: u8) {
        self.tear = Some(instruction);
    }

    /// One command and its answer; `None` when the wrist has left the field.
    pub fn send(&mut self, command: &[u8]) -> Option<Vec<u8>> {
        let answer = self.carry(command);
        self.tell(command, answer.as_deref().unwrap_or_default(), None);
        answer
    }

    /// The same without a word about it: the caller tells it in its own way.
    pub fn carry(&mut self, command: &[u8]) -> Option<Vec<u8>> {
        if self.gone {
            return None;
        }
        let answer = match self.route {
            Route::Air => {
                let answer = self.over_the_air(Request::Transmit(command));
                match Answer::parse(&answer) {
                    Ok(Answer::Response(response)) => response.to_vec(),
                    other => panic!("the band answered {other:?} to a command"),
                }
            }
            Route::Antenna | Route::Screen => {
                let World { band, now, .. } = &mut *self.world;
                let mut environment = Environment { random: &mut band.random, now: Some(*now) };
                band.element.exchange(command, &mut environment).to_vec()
            }
        };
        self.gone = self.tear.is_some() && command.get(1).copied() == self.tear;
        (!self.gone).then_some(answer)
    }

    /// Tells an exchange.
    pub fn tell(&mut self, command: &[u8], response: &[u8], wire: Option<&Wire>) {
        let link = match self.route {
            Route::Antenna => "antenna",
            Route::Air => "air",
            Route::Screen => "screen",
        };
        self.world.narrator.apdu(link, self.from, self.to, command, response, wire);
    }

    fn power(&mut self, on: bool) {
        match self.route {
            Route::Air => {
                let answer = self.over_the_air(if on { Request::PowerOn } else { Request::PowerOff });
                assert_eq!(Answer::parse(&answer), Ok(Answer::Done));
            }
            Route::Antenna | Route::Screen => {
                let World { band, now, .. } = &mut *self.world;
                if on {
                    let interface = if self.route == Route::Antenna {
                        Interface::Contactless
                    } else {
                        Interface::Internal
                    };
                    let mut environment = Environment { random: &mut band.random, now: Some(*now) };
                    band.element.power_on(interface, &mut environment);
                } else {
                    band.element.power_off();
                    // Between two taps nobody waits for the element: now is the time to tidy its flash.
                    band.element.memory_mut().collect().expect("the flash is not cut");
                }
            }
        }
    }

    fn over_the_air(&mut self, request: Request<'_>) -> Vec<u8> {
        let World { band, now, .. } = &mut *self.world;
        let Band { element, random, ble, .. } = band;
        let mut message = [0; 300];
        let message = request.write(&mut message).expect("a short command and two bytes");
        ble.ask(message, |request| {
            let mut environment = Environment { random, now: Some(*now) };
            let mut out = [0; 300];
            let served = relay::serve(element, request, &mut environment, &mut out);
            served.expect("a short response and two bytes").to_vec()
        })
    }
}

impl Transport for Line<'_, '_> {
    fn exchange(&mut self, command: &[u8]) -> Option<&[u8]> {
        self.answer = self.send(command)?;
        Some(&self.answer)
    }
}
