//! Copying without a panic path.

/// Copies `from` to the beginning of `to`, as much as fits.
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    let n = to.len().min(from.len());
    if let (Some(to), Some(from)) = (to.get_mut(..n), from.get(..n))
        && to.len() == from.len()
    {
        to.copy_from_slice(from);
    }
}
