//! What holds for every request and every state; the single paths are in the crate's card tests.

use proptest::prelude::*;

use super::*;

fn amount() -> impl Strategy<Value = Amount> {
    prop_oneof![0_u64..10, 0_u64..100_000, Just(Amount::MAX.minor())]
        .prop_map(|minor| Amount::new(minor).unwrap())
}

fn maybe() -> impl Strategy<Value = Option<Amount>> {
    prop::option::of(amount())
}

prop_compose! {
    fn state()(
        (blocked, new_card, wearer_verified, can_sign) in any::<(bool, bool, bool, bool)>(),
        processes in any::<[u8; 4]>(),
        (balance, single_limit, reset_threshold, cvm_limit) in (maybe(), maybe(), maybe(), maybe()),
        (total, total_limit, total_upper_limit) in (amount(), maybe(), maybe()),
        (foreign_count, foreign_limit) in any::<(u8, Option<u8>)>(),
        pin_tries in prop::option::of(0_u8..3),
    ) -> State {
        State {
            blocked, processes: CardProcesses(processes), currency: [1, 0x56], balance, single_limit, reset_threshold,
            cvm_limit, total, total_limit, total_upper_limit, foreign_count, foreign_limit, new_card, pin_tries,
            wearer_verified, can_sign,
        }
    }
}

prop_compose! {
    fn request()(ttq in any::<[u8; 4]>(), amount in amount(), matched in any::<bool>()) -> Request {
        Request { ttq: Ttq(ttq), amount, currency: if matched { [1, 0x56] } else { [8, 0x40] } }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn promises(request in request(), state in state()) {
        let card = state.processes;
        let matched = request.currency == state.currency;
        match decide(&request, &state) {
            Decision::Refuse(sw) => prop_assert_eq!(sw, Sw::CONDITIONS_NOT_SATISFIED),
            Decision::Answer { result, ctq, debit } => {
                prop_assert_eq!(debit.is_some(), result == Cryptogram::Tc, "a debit is what an approval costs");
                if request.ttq.offline_only() {
                    prop_assert!(result != Cryptogram::Arqc && !ctq.online_pin());
                }
                prop_assert!(!ctq.online_pin() || request.ttq.online_pin());
                prop_assert!(!ctq.signature() || (request.ttq.signature() && card.signature()));
                let taken = state.wearer_verified && request.ttq.cdcvm();
                let proven = result == Cryptogram::Arqc || request.ttq.fdda_v01();
                prop_assert!(taken || !ctq.cdcvm_performed());
                if result != Cryptogram::Aac {
                    prop_assert_eq!(ctq.cdcvm_performed(), taken && proven);
                }
                if state.blocked {
                    prop_assert_eq!(result, Cryptogram::Aac);
                }
                if let Some(debit) = debit {
                    prop_assert!(state.can_sign && !request.ttq.online_cryptogram_required() && !ctq.online_pin());
                    let verified = ctq.signature() || ctq.cdcvm_performed();
                    prop_assert!(verified || !request.ttq.cvm_required());
                    let paid = state.balance.zip(debit.balance).and_then(|(from, to)| from.checked_sub(to));
                    let counted = debit.total.checked_sub(state.total);
                    if matched {
                        let (paid, counted) = (paid.unwrap_or_default(), counted.unwrap());
                        prop_assert!(paid == request.amount || counted == request.amount);
                        prop_assert!(paid == Amount::ZERO || paid == request.amount);
                        prop_assert!(counted == Amount::ZERO || counted == request.amount);
                        prop_assert_eq!(debit.foreign_count, state.foreign_count);
                    } else {
                        prop_assert_eq!((debit.balance, debit.total), (state.balance, state.total));
                        prop_assert_eq!(debit.foreign_count, state.foreign_count.saturating_add(1));
                        let limit = state.foreign_limit;
                        prop_assert!(limit.is_some_and(|limit| state.foreign_count < limit), "below a limit only");
                    }
                }
            }
        }
    }

    #[test]
    fn a_smaller_amount_is_never_treated_worse(request in request(), state in state(), part in 0_u64..1000) {
        // Prepaid cards decline nothing-to-pay, so one unit is the least compared.
        let less = Amount::new((request.amount.minor().saturating_mul(part) / 1000).max(1)).unwrap();
        let is_approved = |decision| matches!(decision, Decision::Answer { result: Cryptogram::Tc, .. });
        if request.amount > Amount::ZERO && is_approved(decide(&request, &state)) {
            let smaller = Request { amount: less, ..request };
            prop_assert!(is_approved(decide(&smaller, &state)));
        }
    }
}
