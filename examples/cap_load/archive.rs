//! The ZIP archive around a CAP file: members out, and a package of our own in.

use std::io::{Cursor, Read, Write};

use huiwan_gp::cap::{DAP_MEMBERS, Kind};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

/// A component has a length of two bytes, and a tag.
const COMPONENT_MAX: u64 = 3 + 0xFFFF;

/// What is in an archive.
#[derive(Debug, Default)]
pub struct Members {
    /// Components, in the order of the archive.
    pub components: Vec<Vec<u8>>,
    /// Signatures made beforehand: member and bytes.
    pub signatures: Vec<(String, Vec<u8>)>,
}

/// Takes the archive apart. Of several packages in one archive, only the first is read.
///
/// # Errors
/// In words.
pub fn read(bytes: &[u8]) -> Result<Members, String> {
    let mut archive =
        ZipArchive::new(Cursor::new(bytes)).map_err(|error| format!("no ZIP archive: {error}"))?;
    let mut members = Members::default();
    let mut package = None;
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(|error| format!("member {index}: {error}"))?;
        let name = file.name().map_err(|error| format!("member {index}: {error}"))?.into_owned();
        let (path, last) = name.rsplit_once('/').unwrap_or(("", &name));
        let is_component = Kind::LOAD_ORDER
            .into_iter()
            .chain([Kind::Debug])
            .any(|kind| kind.file_name().eq_ignore_ascii_case(last));
        let is_signature = DAP_MEMBERS.contains(&name.as_str());
        if !is_component && !is_signature {
            continue;
        }
        // What is longer than a component can be is not read: an archive may claim anything.
        let mut content = Vec::new();
        let read = file.by_ref().take(COMPONENT_MAX + 1).read_to_end(&mut content);
        let len = read.map_err(|error| format!("{name}: {error}"))?;
        if len as u64 > COMPONENT_MAX {
            return Err(format!("{name} is too long for a component"));
        }
        if is_signature {
            members.signatures.push((name, content));
        } else if package.get_or_insert_with(|| path.to_owned()) == path {
            members.components.push(content);
        }
    }
    if members.components.is_empty() {
        Err("no component of a CAP file in it".to_owned())
    } else {
        Ok(members)
    }
}

/// A package without code as a CAP file, put together from the tables of [JCVM 6]: D2 76 00 01 24 02 01, "an/example" 1.0, with one
/// applet's name and an import of `javacard.framework` 1.0.
///
/// # Errors
/// In words.
pub fn sample() -> Result<Vec<u8>, String> {
    const PACKAGE: [u8; 7] = [0xD2, 0x76, 0x00, 0x01, 0x24, 0x02, 0x01];
    const FRAMEWORK: [u8; 7] = [0xA0, 0x00, 0x00, 0x00, 0x62, 0x01, 0x01];
    let lv = |value: &[u8]| [&[value.len() as u8][..], value].concat();
    let header =
        [&[0xDE, 0xCA, 0xFF, 0xED, 0x02, 0x02, 0x04, 0x00, 0x01][..], &lv(&PACKAGE), &lv(b"an/example")]
            .concat();
    let applet = [&[1][..], &lv(&[&PACKAGE[..], &[0x01]].concat()), &[0x00, 0x01]].concat();
    let import = [&[1, 0x00, 0x01][..], &lv(&FRAMEWORK)].concat();
    let static_field = vec![0; 10];
    let method = [&[0][..], b"no code: this example is about the file, not about what runs"].concat();
    let mut infos = vec![
        (Kind::Header, header),
        (Kind::Directory, Vec::new()),
        (Kind::Applet, applet),
        (Kind::Import, import),
        (Kind::ConstantPool, vec![0, 0]),
        (Kind::Class, Vec::new()),
        (Kind::Method, method),
        (Kind::StaticField, static_field),
        (Kind::ReferenceLocation, vec![0; 4]),
    ];
    // Directory: twelve sizes, its own among them, three fields of the static image, counts of imports, applets and custom components.
    let mut directory = Vec::new();
    for tag in 1..=12_u8 {
        let info = infos.iter().find(|(kind, _)| kind.tag() == tag);
        let len = if tag == Kind::Directory.tag() { 33 } else { info.map_or(0, |(_, info)| info.len()) };
        directory.extend((len as u16).to_be_bytes());
    }
    directory.extend([0, 0, 0, 0, 0, 0, 1, 1, 0]);
    infos[1].1 = directory;
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (kind, info) in infos {
        let name = format!("an/example/javacard/{}", kind.file_name());
        let component = [&[kind.tag()][..], &(info.len() as u16).to_be_bytes(), &info].concat();
        archive.start_file(name, SimpleFileOptions::default()).map_err(|error| error.to_string())?;
        archive.write_all(&component).map_err(|error| error.to_string())?;
    }
    archive.finish().map(Cursor::into_inner).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use huiwan_gp::cap::CapFile;

    use super::*;

    #[test]
    fn our_own_package_reads_back() {
        let members = read(&sample().unwrap()).unwrap();
        let slices: Vec<&[u8]> = members.components.iter().map(Vec::as_slice).collect();
        let cap = CapFile::new(&slices).unwrap();
        assert_eq!(cap.header().name, b"an/example");
        assert_eq!(cap.applets().count(), 1);
        assert_eq!(cap.java_card_version(), Some("2.1.1"));
        assert!(members.signatures.is_empty());
    }

    #[test]
    fn what_is_no_cap_file() {
        assert!(read(b"PK").unwrap_err().starts_with("no ZIP archive"));
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        archive.start_file("readme.txt", SimpleFileOptions::default()).unwrap();
        let archive = archive.finish().unwrap().into_inner();
        assert_eq!(read(&archive).unwrap_err(), "no component of a CAP file in it");
        // A member that unpacks to more than a component can be.
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        archive.start_file("a/javacard/Header.cap", SimpleFileOptions::default()).unwrap();
        archive.write_all(&vec![0; 1_000_000]).unwrap();
        let archive = archive.finish().unwrap().into_inner();
        assert!(archive.len() < 10_000);
        assert!(read(&archive).unwrap_err().ends_with("too long for a component"));
    }
}
