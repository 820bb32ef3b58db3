//! The tables of an ELF file, as far as taking something out of it changes them.
//!
//! Field by field as `elf.h` has `Elf64_Ehdr`, `Elf64_Phdr`, `Elf64_Shdr` and `Elf64_Sym`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// What an ELF file starts with.
const MAGIC: &[u8] = b"\x7fELF";
/// Size of the header.
pub(super) const HEADER: usize = 64;
/// Size of a program header.
pub(super) const SEGMENT: usize = 56;
/// Size of a section header.
pub(super) const SECTION: usize = 64;
/// Size of a symbol.
pub(super) const SYMBOL: usize = 24;
/// Where a symbol has the number of its section.
pub(super) const SYMBOL_SECTION: usize = 6;
/// From here on, numbers of sections mean something else.
pub(super) const RESERVED: u16 = 0xff00;
/// The number that symbols without a section have.
pub(super) const ABSOLUTE: u16 = 0xfff1;

pub(super) const SYMBOLS: u32 = 2;
pub(super) const RELOCATIONS: [u32; 2] = [4, 9];
pub(super) const NO_BITS: u32 = 8;
pub(super) const DYNAMIC_SYMBOLS: u32 = 11;
pub(super) const GROUP: u32 = 17;
pub(super) const SYMBOL_SECTIONS: u32 = 18;
pub(super) const ALLOCATED: u64 = 0x2;
pub(super) const INFO_LINK: u64 = 0x40;
pub(super) const LOAD: u32 = 1;

/// 64 bits, the least significant byte first, the first version of the format.
const IDENTITY: [u8; 3] = [2, 1, 1];
/// A program, and a library or a program for any address.
const LINKED: [u16; 2] = [2, 3];
/// The longest table of names that is read, in bytes.
const LONGEST_NAMES: u64 = 16 << 20;

/// The tables of a linked ELF file of 64 bits.
#[derive(Debug)]
pub(super) struct Elf {
    /// In bytes.
    pub(super) length: u64,
    header: [u8; HEADER],
    pub(super) segments: Vec<Segment>,
    pub(super) sections: Vec<Section>,
    names: Vec<u8>,
}

/// A part of the file that programs see in memory.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) kind: u32,
    flags: u32,
    pub(super) offset: u64,
    pub(super) address: u64,
    physical: u64,
    pub(super) size: u64,
    pub(super) memory: u64,
    pub(super) alignment: u64,
}

/// A part of the file that linkers and debuggers see.
#[derive(Clone, Debug)]
pub(super) struct Section {
    name: u32,
    pub(super) kind: u32,
    pub(super) flags: u64,
    address: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) link: u32,
    pub(super) info: u32,
    pub(super) alignment: u64,
    entry: u64,
}

impl Elf {
    /// Reads the tables; nothing if the file is something else, or has tables that are out of the ordinary.
    pub(super) fn read(file: &File) -> io::Result<Option<Self>> {
        let length = file.metadata()?.len();
        let mut header = [0; HEADER];
        if length < header.len() as u64 {
            return Ok(None);
        }
        file.read_exact_at(&mut header, 0)?;
        let is_known = header.starts_with(MAGIC)
            && header[4..7] == IDENTITY
            && LINKED.contains(&half(&header, 16))
            && usize::from(half(&header, 54)) == SEGMENT
            && usize::from(half(&header, 58)) == SECTION;
        let (segments, sections) = (half(&header, 56), half(&header, 60));
        if !is_known || segments == u16::MAX || sections == 0 || sections >= RESERVED {
            return Ok(None);
        }
        let mut elf = Self {
            length,
            header,
            segments: Vec::new(),
            sections: Vec::new(),
            names: Vec::new(),
        };
        let table = |offset, size| read(file, length, offset, size);
        let Some(bytes) = table(elf.segments_offset(), u64::from(segments) * SEGMENT as u64)?
        else {
            return Ok(None);
        };
        elf.segments = bytes.chunks_exact(SEGMENT).map(Segment::read).collect();
        let Some(bytes) = table(elf.sections_offset(), u64::from(sections) * SECTION as u64)?
        else {
            return Ok(None);
        };
        elf.sections = bytes.chunks_exact(SECTION).map(Section::read).collect();
        let Some(names) = elf.sections.get(elf.names_section()) else {
            return Ok(None);
        };
        if names.kind == NO_BITS || names.size > LONGEST_NAMES {
            return Ok(None);
        }
        let Some(names) = table(names.offset, names.size)? else {
            return Ok(None);
        };
        elf.names = names;
        Ok(Some(elf))
    }

    pub(super) fn segments_offset(&self) -> u64 {
        long(&self.header, 32)
    }

    pub(super) fn sections_offset(&self) -> u64 {
        long(&self.header, 40)
    }

    /// The number of the section with the names of sections.
    pub(super) fn names_section(&self) -> usize {
        usize::from(half(&self.header, 62))
    }

    /// The name of a section, up to its zero; nothing if it has none.
    pub(super) fn name(&self, section: &Section) -> Option<&[u8]> {
        let rest = self.names.get(usize::try_from(section.name).ok()?..)?;
        rest.split(|byte| *byte == 0).next()
    }

    /// The header with other places of the tables.
    pub(super) fn header(
        &self,
        segments_offset: u64,
        sections_offset: u64,
        sections: u16,
        names_section: u16,
    ) -> [u8; HEADER] {
        let mut header = self.header;
        header[32..40].copy_from_slice(&segments_offset.to_le_bytes());
        header[40..48].copy_from_slice(&sections_offset.to_le_bytes());
        header[60..62].copy_from_slice(&sections.to_le_bytes());
        header[62..64].copy_from_slice(&names_section.to_le_bytes());
        header
    }
}

impl Segment {
    fn read(bytes: &[u8]) -> Self {
        Self {
            kind: word(bytes, 0),
            flags: word(bytes, 4),
            offset: long(bytes, 8),
            address: long(bytes, 16),
            physical: long(bytes, 24),
            size: long(bytes, 32),
            memory: long(bytes, 40),
            alignment: long(bytes, 48),
        }
    }

    pub(super) fn write(&self, to: &mut Vec<u8>) {
        to.extend(self.kind.to_le_bytes());
        to.extend(self.flags.to_le_bytes());
        for value in [
            self.offset,
            self.address,
            self.physical,
            self.size,
            self.memory,
            self.alignment,
        ] {
            to.extend(value.to_le_bytes());
        }
    }
}

impl Section {
    fn read(bytes: &[u8]) -> Self {
        Self {
            name: word(bytes, 0),
            kind: word(bytes, 4),
            flags: long(bytes, 8),
            address: long(bytes, 16),
            offset: long(bytes, 24),
            size: long(bytes, 32),
            link: word(bytes, 40),
            info: word(bytes, 44),
            alignment: long(bytes, 48),
            entry: long(bytes, 56),
        }
    }

    pub(super) fn write(&self, to: &mut Vec<u8>) {
        to.extend(self.name.to_le_bytes());
        to.extend(self.kind.to_le_bytes());
        for value in [self.flags, self.address, self.offset, self.size] {
            to.extend(value.to_le_bytes());
        }
        to.extend(self.link.to_le_bytes());
        to.extend(self.info.to_le_bytes());
        to.extend(self.alignment.to_le_bytes());
        to.extend(self.entry.to_le_bytes());
    }

    /// Bytes that it takes up in the file.
    pub(super) fn stored(&self) -> u64 {
        if self.kind == NO_BITS { 0 } else { self.size }
    }

    /// Whether it is a table of symbols.
    pub(super) fn has_symbols(&self) -> bool {
        self.kind == SYMBOLS || self.kind == DYNAMIC_SYMBOLS
    }

    /// Whether it is a table of symbols whose size is none.
    pub(super) fn is_broken(&self) -> bool {
        let symbol = SYMBOL as u64;
        self.has_symbols() && (self.entry != symbol || !self.size.is_multiple_of(symbol))
    }
}

/// Reads a part of a file; nothing if it ends before.
fn read(file: &File, length: u64, offset: u64, size: u64) -> io::Result<Option<Vec<u8>>> {
    let end = offset.checked_add(size);
    let Some(size) = usize::try_from(size)
        .ok()
        .filter(|_| end.is_some_and(|end| end <= length))
    else {
        return Ok(None);
    };
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(Some(bytes))
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

pub(super) fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(field(bytes, at))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(field(bytes, at))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(field(bytes, at))
}
