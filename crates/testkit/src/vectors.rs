//! The vector files: public numbers with their sources, as text that diffs well.
//!
//! ```text
//! # huiwan vectors 1
//! # any number of comment lines
//!
//! id = purchase-mac1
//! source = where the numbers were published
//! kind = published              (or computed: by us, from the rules; a weak witness)
//! in.key = 0011AA…              hexadecimal: bytes
//! in.pan = "12345678901234567"  in quotes: text or a decimal number
//! out.mac1 = F15CAB75
//! ```
//!
//! Blocks are separated by blank lines and begin with `id`; `source` and `kind` are mandatory; a key appears
//! once in a block. Lists and nested objects are flattened: `in.keys.0`, `out.commands.1.wrapped`.
//! `crates/testkit/import_vectors.py` writes such files from the JSON collection they were first gathered in.

/// The first line of every file; another version is refused.
pub const HEADER: &str = "# huiwan vectors 1";

/// A vector file.
#[derive(Debug)]
pub struct File<'a> {
    blocks: Vec<Block<'a>>,
}

/// One vector: a name, a source, and named values.
#[derive(Debug, Clone)]
pub struct Block<'a> {
    line: usize,
    values: Vec<(&'a str, &'a str)>,
}

/// Reads a whole file, usually `include_str!`ed.
///
/// # Panics
/// With the line number, on anything [the module](self) doesn't describe.
#[must_use]
#[track_caller]
pub fn load(text: &str) -> File<'_> {
    match parse(text) {
        Ok(file) => file,
        Err((line, why)) => panic!("vector file, line {line}: {why}"),
    }
}

fn parse(text: &str) -> Result<File<'_>, (usize, String)> {
    let mut lines = (1..).zip(text.lines());
    match lines.next() {
        Some((_, first)) if first.trim_end() == HEADER => {}
        _ => return Err((1, format!("must be {HEADER:?}"))),
    }
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for (line, text) in lines {
        let text = text.trim();
        if text.starts_with('#') {
            continue;
        }
        if text.is_empty() {
            close(&mut blocks, open.take())?;
            continue;
        }
        let Some((key, value)) = text.split_once('=') else {
            return Err((line, "not key = value".into()));
        };
        let (key, value) = (key.trim(), value.trim());
        match &mut open {
            None if key == "id" => open = Some(Block { line, values: vec![(key, value)] }),
            None => return Err((line, "a block must begin with id".into())),
            Some(block) => {
                if block.get(key).is_some() {
                    return Err((line, format!("{key} is there twice")));
                }
                if !matches!(key, "source" | "kind") {
                    check_value(value).map_err(|why| (line, why))?;
                }
                block.values.push((key, value));
            }
        }
    }
    close(&mut blocks, open)?;
    if blocks.is_empty() {
        return Err((1, "no vectors".into()));
    }
    Ok(File { blocks })
}

fn check_value(value: &str) -> Result<(), String> {
    if value.starts_with('"') {
        return if value.len() >= 2 && value.ends_with('"') { Ok(()) } else { Err("open quote".into()) };
    }
    if value.is_empty() {
        return Err("empty value; write \"\"".into());
    }
    crate::try_hex(value).map(drop)
}

fn close<'a>(blocks: &mut Vec<Block<'a>>, block: Option<Block<'a>>) -> Result<(), (usize, String)> {
    let Some(block) = block else { return Ok(()) };
    if block.get("source").is_none_or(str::is_empty) {
        return Err((block.line, "no source".into()));
    }
    if !matches!(block.get("kind"), Some("published" | "computed")) {
        return Err((block.line, "kind must be published or computed".into()));
    }
    if blocks.iter().any(|other| other.id() == block.id()) {
        return Err((block.line, format!("{} is there twice", block.id())));
    }
    blocks.push(block);
    Ok(())
}

impl<'a> File<'a> {
    /// All vectors in file order; never empty.
    pub fn blocks(&self) -> impl Iterator<Item = &Block<'a>> {
        self.blocks.iter()
    }

    /// The vectors whose `group` is `name`.
    pub fn group<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Block<'a>> {
        self.blocks.iter().filter(move |block| block.get("group") == Some(name))
    }

    /// The vector called `id`.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    #[track_caller]
    pub fn block(&self, id: &str) -> &Block<'a> {
        match self.blocks.iter().find(|block| block.id() == id) {
            Some(block) => block,
            None => panic!("no vector {id}"),
        }
    }
}

impl<'a> Block<'a> {
    /// The vector's name.
    #[must_use]
    pub fn id(&self) -> &'a str {
        self.values[0].1
    }

    /// Where the numbers come from.
    #[must_use]
    pub fn source(&self) -> &'a str {
        self.text("source")
    }

    /// Whether the numbers are our own computation, with no outside witness.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        self.get("kind") == Some("computed")
    }

    /// A value as written, without its quotes.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a str> {
        let (_, value) = self.values.iter().find(|(name, _)| *name == key)?;
        Some(value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value))
    }

    /// A value as written, without its quotes.
    ///
    /// # Panics
    /// When it is absent.
    #[must_use]
    #[track_caller]
    pub fn text(&self, key: &str) -> &'a str {
        match self.get(key) {
            Some(value) => value,
            None => panic!("vector {} (line {}): no {key}", self.id(), self.line),
        }
    }

    /// A value as bytes.
    ///
    /// # Panics
    /// When it is absent or no hexadecimal text.
    #[must_use]
    #[track_caller]
    pub fn bytes(&self, key: &str) -> Vec<u8> {
        match crate::try_hex(self.text(key)) {
            Ok(bytes) => bytes,
            Err(why) => panic!("vector {} (line {}): {key}: {why}", self.id(), self.line),
        }
    }

    /// A value as exactly `N` bytes.
    ///
    /// # Panics
    /// When it is absent, no hexadecimal text, or of another length.
    #[must_use]
    #[track_caller]
    pub fn array<const N: usize>(&self, key: &str) -> [u8; N] {
        let bytes = self.bytes(key);
        match <[u8; N]>::try_from(bytes.as_slice()) {
            Ok(array) => array,
            Err(_) => {
                panic!("vector {} (line {}): {key} is {} bytes, not {N}", self.id(), self.line, bytes.len())
            }
        }
    }

    /// A value as a decimal number.
    ///
    /// # Panics
    /// When it is absent or no decimal number.
    #[must_use]
    #[track_caller]
    pub fn number(&self, key: &str) -> u64 {
        match self.text(key).parse() {
            Ok(number) => number,
            Err(_) => panic!("vector {} (line {}): {key} is no decimal number", self.id(), self.line),
        }
    }

    /// All keys in file order.
    pub fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.values.iter().map(|(key, _)| *key)
    }

    /// The values of `prefix.0`, `prefix.1`, … up to the first that is absent.
    #[must_use]
    pub fn list(&self, prefix: &str) -> Vec<&'a str> {
        (0..).map_while(|n| self.get(&format!("{prefix}.{n}"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# huiwan vectors 1\n# a comment\n\nid = one\nsource = a book, p. 3 = here\nkind = published\n\
        group = \"mac\"\nin.keys.0 = 00ff\nin.keys.1 = 01\nin.pan = \"123\"\nin.none = \"\"\n\n\n\
        id = two\n# inside\nsource = self\nkind = computed\nout = AA\n";

    #[test]
    fn reads_what_the_module_describes() {
        let file = load(GOOD);
        let ids: Vec<_> = file.blocks().map(Block::id).collect();
        assert_eq!(ids, ["one", "two"]);
        let one = file.block("one");
        assert_eq!(one.source(), "a book, p. 3 = here");
        assert!(!one.is_weak() && file.block("two").is_weak());
        assert_eq!(one.array::<2>("in.keys.0"), [0, 0xFF]);
        assert_eq!(one.list("in.keys"), ["00ff", "01"]);
        assert_eq!((one.text("in.pan"), one.number("in.pan")), ("123", 123));
        assert!(one.bytes("in.none").is_empty());
        assert_eq!(one.get("in.other"), None);
        assert_eq!(file.group("mac").count(), 1);
    }

    #[test]
    fn refuses_everything_else_by_line() {
        let head = "# huiwan vectors 1\n\n";
        for (text, line, why) in [
            ("# huiwan vectors 2\n", 1, "must be"),
            ("# huiwan vectors 1\n", 1, "no vectors"),
            (&format!("{head}source = x\n"), 3, "begin with id"),
            (&format!("{head}id = x\nkind = published\n"), 3, "no source"),
            (&format!("{head}id = x\nsource = s\nkind = trust me\n"), 3, "kind must be"),
            (&format!("{head}id = x\nsource = s\nkind = published\na = 0\n"), 6, "odd number"),
            (&format!("{head}id = x\nsource = s\nkind = published\na = \"0\n"), 6, "open quote"),
            (&format!("{head}id = x\nsource = s\nkind = published\na =\n"), 6, "empty value"),
            (&format!("{head}id = x\nsource = s\nkind = published\na = 00\na = 00\n"), 7, "twice"),
            (
                &format!(
                    "{head}id = x\nsource = s\nkind = published\n\nid = x\nsource = s\nkind = published\n"
                ),
                7,
                "twice",
            ),
        ] {
            let (at, message) = parse(text).expect_err(text);
            assert_eq!(at, line, "{text}: {message}");
            assert!(message.contains(why), "{text}: {message}");
        }
    }
}
