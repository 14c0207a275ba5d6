//! An accepted command, written again, is the same bytes; a built command parses to itself.
#![no_main]
use huiwan_apdu::atr::{Atr, AtrBuilder};
use huiwan_apdu::{Case, Command, Ne, Response};
use huiwan_tlv::Full;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut out = vec![0; data.len() + 16];
    match Command::parse(data) {
        Ok(command) => {
            assert_eq!(command.encoded_len(), data.len());
            assert_eq!(command.write(&mut out).unwrap(), data);
            let needed = data.len();
            assert_eq!(command.write(&mut out[..needed - 1]), Err(Full { needed }));
            let _ = command.class();
        }
        Err(error) => assert!(error.at() <= data.len()),
    }
    if let Ok(response) = Response::parse(data) {
        assert_eq!(response.write(&mut out).unwrap(), data);
    }
    if let Ok(atr) = Atr::parse(data) {
        let mut builder =
            AtrBuilder::new(atr.first()).historical(atr.historical()).convention(atr.convention());
        for (t, interface) in atr.protocols() {
            builder = builder.protocol(t, interface);
        }
        assert_eq!(builder.write(&mut out).unwrap(), data);
        let _ = (atr.historical_objects(), atr.t1(), atr.fi_di());
    }
    let [cla, ins, p1, p2, flags, ne_high, ne_low, ref body @ ..] = *data else { return };
    let mut command = Command::new(cla, ins, p1, p2).with_data(body).extended(flags & 1 != 0);
    if flags & 2 != 0 {
        command = command.with_ne(Ne::extended(u16::from_be_bytes([ne_high, ne_low])));
    }
    match command.write(&mut out) {
        Ok(raw) => {
            let parsed = Command::parse(raw).unwrap();
            assert_eq!(parsed, command);
            assert_eq!(parsed.case() == Case::One, raw.len() == 4);
        }
        Err(Full { needed }) => assert!(needed > out.len()),
    }
});
