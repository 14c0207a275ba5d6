//! Any plan of goals with any accidents, as the fuzz target `tsm_job_with_kills` runs it too.

mod jobs;
mod support;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_card_ends_as_the_model_says(
        goals in proptest::collection::vec(any::<u8>(), 0..6),
        accidents in proptest::collection::vec((0_u8..7, 0_u8..40), 0..8),
    ) {
        let mut input = vec![u8::try_from(goals.len()).unwrap_or(0)];
        input.extend(goals);
        input.extend(accidents.iter().flat_map(|&(kind, step)| [kind, 0, step]));
        jobs::any_goals_with_kills(&input);
    }
}

#[test]
fn one_of_each() {
    jobs::any_goals_with_kills(&[
        5, 1, 5, 13, 3, 10, 0, 0, 6, 1, 0, 9, 2, 0, 14, 3, 0, 3, 4, 0, 1, 5, 0, 2, 6, 0, 0,
    ]);
    jobs::any_goals_with_kills(&[2, 5, 12]);
}
