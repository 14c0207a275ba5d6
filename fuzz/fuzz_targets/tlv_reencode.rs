//! Accepted BER-TLV, written again, is the same bytes if its lengths are in their shortest form, and the same
//! objects otherwise; what ISO accepts, EMV accepts with the same objects.
#![no_main]
use huiwan_tlv::{Rules, Tlv, Tlvs, Writer, parse};
use libfuzzer_sys::fuzz_target;

fn copy(w: &mut Writer<'_>, level: Tlvs<'_>, rules: Rules, depth: usize) {
    for object in level.map_while(Result::ok) {
        let whole = || object.children(rules).all(|child| child.is_ok());
        if object.tag().is_constructed() && depth < 8 && whole() {
            w.nested(object.tag(), |w| copy(w, object.children(rules), rules, depth + 1));
        } else {
            w.put(object.tag(), object.value());
        }
    }
}

fn first_level(raw: &[u8], rules: Rules) -> Option<Vec<Tlv<'_>>> {
    parse(raw, rules).collect::<Result<_, _>>().ok()
}

fuzz_target!(|data: &[u8]| {
    let mut out = vec![0; data.len() + 8];
    for rules in [Rules::ISO, Rules::ISO.strict(), Rules::EMV, Rules::EMV.strict()] {
        let Some(objects) = first_level(data, rules) else { continue };
        let mut w = Writer::new(&mut out);
        copy(&mut w, parse(data, rules), rules, 0);
        let again = w.finish().expect("shortest lengths are not longer").to_vec();
        let strict: Vec<_> = first_level(&again, rules.strict()).expect("what we write is strict");
        assert!(objects.iter().map(Tlv::tag).eq(strict.iter().map(Tlv::tag)));
        // Strict ISO bytes have one encoding, on every level that is well formed.
        if rules == Rules::ISO.strict() {
            assert_eq!(again, data);
        }
        if rules == Rules::ISO && objects.iter().all(|o| !matches!(o.raw()[0], 0x00 | 0xFF)) {
            assert_eq!(first_level(data, Rules::EMV).expect("iso is a subset of emv"), objects);
        }
    }
});
