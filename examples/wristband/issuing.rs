//! The TSM: everything it does to a band, through the wearer's phone.

use huiwan::tsm::{self, Input, OUT_LEN, Session, Step, Visit};
use huiwan_apdu::Aid;
use huiwan_gp::host::{
    Coding, Job, KeyAnswer, KeyRef, KeyRequest, KeyStore, OpenChannel, Personalise, PutKeys, SoftKeyStore,
};
use huiwan_gp::scp03::Level;
use huiwan_testkit::rng::Seeded;

use crate::narrator::Wire;
use crate::world::{Line, Route, World};

/// The card manager.
const CARD_MANAGER: &str = "card manager";

/// A TSM with the keys of its bands.
pub struct Tsm {
    keys: SoftKeyStore<8, 4>,
    /// The next free number in the key store.
    next: u32,
}

/// What the TSM knows of a band it owns.
#[derive(Clone, Copy)]
pub struct Ownership {
    /// The keys only the TSM has, and their version on the card.
    key: KeyRef,
    version: u8,
}

impl Tsm {
    pub const fn new(keys: SoftKeyStore<8, 4>) -> Self {
        Self { keys, next: 1 }
    }

    /// The factory's keys of a new band, as its maker told the TSM.
    pub fn factory_keys(&mut self, keys: [&[u8]; 3]) -> Ownership {
        let [enc, mac, dek] = keys;
        Ownership { key: self.keep(enc, mac, dek), version: huiwan_gp::card::INITIAL_KEY_VERSION }
    }

    fn keep(&mut self, enc: &[u8], mac: &[u8], dek: &[u8]) -> KeyRef {
        let id = self.next;
        self.next += 1;
        self.keys.insert(id, enc, mac, dek).expect("three AES keys and a free place");
        KeyRef::direct(id)
    }

    /// Takes a band over: authenticates with the factory's keys and replaces them.
    pub fn take_over(&mut self, world: &mut World<'_>, factory: Ownership) -> Option<Ownership> {
        let [enc, mac, dek]: [[u8; 16]; 3] = [(); 3].map(|()| world.random.bytes());
        let key = self.keep(&enc, &mac, &dek);
        let version = 0x31;
        let open = self.open(factory, &mut world.random);
        let put =
            PutKeys { key, version, remove_old: true, host_challenge: world.random.bytes::<8>().into() };
        let plan = [Job::Open(open), Job::PutKeys(put), Job::Close];
        self.visit(world, &plan).then_some(Ownership { key, version })
    }

    /// Installs the payment environment, a bank card and a transit card, and personalises both.
    pub fn issue(
        &mut self,
        world: &mut World<'_>,
        owner: Ownership,
        bank_card: (Aid, &[u8]),
        transit_card: (Aid, &[u8]),
    ) -> bool {
        let groupings = |script| tsm::groupings::<48>(script).expect("a script of at most 48 groupings");
        let (bank_script, transit_script) = (groupings(bank_card.1), groupings(transit_card.1));
        let personalise = |aid, script| Job::Personalise(Personalise::new(Some(aid), script, Coding::GP));
        let plan = [
            Job::Open(self.open(owner, &mut world.random)),
            Job::Install(tsm::payment_environment()),
            Job::Install(tsm::bank_card(bank_card.0, b"HUIWAN DEBIT", 1)),
            personalise(bank_card.0, &bank_script),
            Job::Install(tsm::transit_card(transit_card.0)),
            personalise(transit_card.0, &transit_script),
            Job::Close,
        ];
        self.visit(world, &plan)
    }

    /// Carries out other jobs in one channel.
    pub fn manage(&mut self, world: &mut World<'_>, owner: Ownership, jobs: &[Job<'_>]) -> bool {
        let mut plan = vec![Job::Open(self.open(owner, &mut world.random))];
        plan.extend_from_slice(jobs);
        self.visit(world, &plan)
    }

    fn open(&self, owner: Ownership, random: &mut Seeded) -> OpenChannel {
        OpenChannel {
            aid: None,
            key_version: owner.version,
            key: owner.key,
            level: Level::All,
            host_challenge: random.bytes::<8>().into(),
        }
    }

    fn visit(&mut self, world: &mut World<'_>, plan: &[Job<'_>]) -> bool {
        world.talk(Route::Air, "TSM", CARD_MANAGER, |line| {
            let visit = self.converse(line, plan);
            if let Visit::Stopped { job, fault } = visit {
                line.world.narrator.say(&format!("The TSM stops at job {job}: {fault}"));
            }
            visit == Visit::Complete
        })
    }

    /// Carries commands to the band and secret operations to the key store. The story shows protected commands as
    /// the TSM means them, beside the bytes that travel.
    fn converse(&mut self, line: &mut Line<'_, '_>, plan: &[Job<'_>]) -> Visit {
        let mut session = Session::new(plan);
        let mut out = [0; OUT_LEN];
        let mut bytes = [0; OUT_LEN];
        let mut answer;
        // A protected command as the TSM means it, and what travelled for it.
        let mut meant: Option<Vec<u8>> = None;
        let mut travelled = Wire::default();
        let mut input = Input::Start;
        loop {
            input = match session.step(input, &mut out).expect("the loop answers what is asked") {
                Step::Send(command) => match line.carry(command) {
                    Some(response) => {
                        answer = response;
                        match meant {
                            Some(_) => {
                                travelled = Wire { command: command.to_vec(), response: answer.clone() };
                            }
                            None => line.tell(command, &answer, None),
                        }
                        Input::Response(&answer)
                    }
                    None => Input::Lost,
                },
                Step::Key(request) => {
                    let reply = self.keys.answer(&request, &mut bytes);
                    match (request, reply) {
                        (KeyRequest::Wrap { command, .. }, _) => meant = Some(command.to_vec()),
                        (KeyRequest::Unwrap { .. }, KeyAnswer::Bytes(response)) => {
                            if let Some(command) = meant.take() {
                                line.tell(&command, response, Some(&travelled));
                            }
                        }
                        _ => {}
                    }
                    Input::Key(reply)
                }
                Step::Answer { .. } | Step::Stored { .. } | Step::Finished { .. } => Input::Continue,
                Step::Done(visit) => return visit,
            };
        }
    }
}
