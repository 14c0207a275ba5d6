// The card of the examples in the documentation, which include this file unseen.

/// Runs `f` with a link to a card as it leaves the factory: no applications, AES test keys under version 30.
pub fn with_card(f: impl FnOnce(&mut dyn FnMut(&[u8]) -> Vec<u8>)) {
    use huiwan_card::{Element, Environment, Interface, Journal, Module, ModuleId, RamFlash};
    use huiwan_gp::card::{
        CardManager, CardProfile, Factory, ModuleEntry, Registry, RsaKeys, SLOT_LEN, format,
    };
    let profile = CardProfile::DEFAULT;
    let entries = [ModuleEntry::security_domain(ModuleId(0))];
    let manager = CardManager::new(&profile, &entries).with_content_management(Some(&RsaKeys));
    let modules: [&dyn Module; 1] = [&manager];
    let mut memory = Journal::<RamFlash<{ 64 * 1024 }>, 64>::format(RamFlash::new()).unwrap();
    format(&mut memory, &Factory::TEST).unwrap();
    let mut element: Element<'_, _, _, 8, SLOT_LEN, 3072> =
        Element::new(&modules, Registry::new(&profile), memory);
    let mut random = huiwan_testkit::rng::Seeded::new(1);
    element.power_on(Interface::Internal, &mut Environment { random: &mut random, now: None });
    f(&mut |command| {
        element.exchange(command, &mut Environment { random: &mut random, now: None }).to_vec()
    });
}
