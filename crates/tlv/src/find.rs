use crate::{At, Rules, Tag, Tlv, TlvError, parse, walk};

/// The first object tagged `tag` on the first level of `raw`.
///
/// # Errors
/// The first malformed object before it.
#[inline]
pub fn find<'a>(raw: &'a [u8], rules: Rules, tag: Tag) -> Result<Option<Tlv<'a>>, At<TlvError>> {
    parse(raw, rules).find(|object| !matches!(object, Ok(o) if o.tag() != tag)).transpose()
}

/// The object at the end of a path of templates, for example `6F`/`A5`/`BF0C`.
///
/// On each level the first object with the tag is taken. An empty path finds nothing.
///
/// # Errors
/// The first malformed object on the way, with its offset in `raw`.
pub fn find_path<'a>(raw: &'a [u8], rules: Rules, path: &[Tag]) -> Result<Option<Tlv<'a>>, At<TlvError>> {
    let mut level = parse(raw, rules);
    let mut found = None;
    for tag in path {
        found = level.find(|object| !matches!(object, Ok(o) if o.tag() != *tag)).transpose()?;
        match &found {
            Some(object) => level = object.children(rules),
            None => return Ok(None),
        }
    }
    Ok(found)
}

/// Several objects in one pass over all levels (eight at most): for each tag its first occurrence, depth first.
///
/// Stops as soon as all are found; what follows is not looked at.
///
/// ```
/// use huiwan_tlv::{Rules, Tag, find_each};
///
/// let fci = [0x6F, 0x09, 0x84, 0x02, 0xA0, 0x00, 0xA5, 0x03, 0x88, 0x01, 0x01];
/// let [name, sfi, label] = find_each(&fci, Rules::ISO, [Tag::new(0x84), Tag::new(0x88), Tag::new(0x50)])?;
/// assert_eq!(name.unwrap().value(), [0xA0, 0x00]);
/// assert_eq!(sfi.unwrap().value(), [0x01]);
/// assert!(label.is_none());
/// # Ok::<(), huiwan_tlv::At<huiwan_tlv::TlvError>>(())
/// ```
///
/// # Errors
/// The first malformed object before all are found.
#[inline]
pub fn find_each<const N: usize>(
    raw: &[u8],
    rules: Rules,
    tags: [Tag; N],
) -> Result<[Option<Tlv<'_>>; N], At<TlvError>> {
    let mut found = [None; N];
    let mut missing = N;
    if missing == 0 {
        return Ok(found);
    }
    for object in walk(raw, rules) {
        let (_, object) = object?;
        // Compared all at once, since most objects are none of them.
        if !tags.iter().fold(false, |wanted, tag| wanted | (*tag == object.tag())) {
            continue;
        }
        for (slot, tag) in found.iter_mut().zip(tags) {
            if object.tag() == tag && slot.is_none() {
                *slot = Some(object);
                missing = missing.wrapping_sub(1);
            }
        }
        if missing == 0 {
            break;
        }
    }
    Ok(found)
}
