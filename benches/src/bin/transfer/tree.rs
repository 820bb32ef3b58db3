//! The files that are sent.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Bytes that are written at once.
const BLOCK: usize = 1 << 20;

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tree {
    /// Small files, a hundred in each directory.
    Many { files: usize, bytes: u64 },
    /// One file.
    Huge { bytes: u64 },
}

impl Tree {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Many { .. } => "many",
            Self::Huge { .. } => "huge",
        }
    }

    /// Makes the files below a directory that does not exist yet. They have the same random content every time.
    pub(crate) fn make(self, root: &Path) -> io::Result<()> {
        fs::create_dir(root)?;
        let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
        match self {
            Self::Many { files, bytes } => {
                let mean = bytes / files.max(1) as u64;
                for file in 0..files {
                    let directory = root.join(format!("package-{:03}", file / 100));
                    if file % 100 == 0 {
                        fs::create_dir(&directory)?;
                    }
                    // Half to one and a half times the mean.
                    let size = mean / 2 + noise.next() % mean.max(1);
                    noise.write(&directory.join(format!("module_{file}.py")), size)?;
                }
                Ok(())
            }
            Self::Huge { bytes } => noise.write(&root.join("weights.bin"), bytes),
        }
    }
}

/// Bytes that do not compress.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn write(&mut self, path: &Path, size: u64) -> io::Result<()> {
        let mut file = File::create_new(path)?;
        let mut left = size;
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
            let mut block = Vec::with_capacity(length + 8);
            while block.len() < length {
                block.extend_from_slice(&self.next().to_le_bytes());
            }
            file.write_all(&block[..length])?;
            left -= length as u64;
        }
        Ok(())
    }
}
