// The driver of the manager in the examples of the documentation, which show it once and include it elsewhere.

use huiwan_gp::host::manager::OUT_LEN;
use huiwan_gp::host::{Input, Job, KeyStore, Manager, Outcome, Step};

pub fn run<'j>(
    card: &mut dyn FnMut(&[u8]) -> Vec<u8>,
    store: &mut impl KeyStore,
    manager: &mut Manager<'j>,
    job: Job<'j>,
) -> Outcome {
    let (mut out, mut key_out) = ([0; OUT_LEN], [0; OUT_LEN]);
    let mut answer;
    let mut input = Input::Start(job);
    loop {
        input = match manager.step(input, &mut out).expect("the loop answers what is asked") {
            Step::Send(command) => {
                answer = card(command);
                Input::Response(&answer)
            }
            Step::Key(request) => Input::Key(store.answer(&request, &mut key_out)),
            Step::Answer { .. } | Step::Stored { .. } => Input::Continue,
            Step::Done(outcome) => return outcome,
        };
    }
}
