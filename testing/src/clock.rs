//! A wall clock that a test can move while the node runs (Debian package `faketime`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::require::skip;

/// An offset to the real wall clock, read anew by the node at each look. Timers stay real.
#[derive(Debug)]
pub struct FakeClock {
    file: PathBuf,
    library: PathBuf,
}

impl FakeClock {
    /// A clock that shows the real time; its file lies in `folder`. `None` where the library is missing.
    #[must_use]
    pub fn new(folder: &Path) -> Option<Self> {
        let library = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
            .map(|arch| {
                Path::new("/usr/lib")
                    .join(arch)
                    .join("faketime/libfaketime.so.1")
            })
            .into_iter()
            .find(|file| file.is_file());
        let Some(library) = library else {
            skip("libfaketime is not installed; apt-get install faketime");
            return None;
        };
        let clock = Self {
            file: folder.join("faketime"),
            library,
        };
        clock.set_offset_s(0);
        Some(clock)
    }

    /// Moves the clock to the real time plus `seconds`.
    pub fn set_offset_s(&self, seconds: i64) {
        let next = self.file.with_extension("next");
        fs::write(&next, format!("{seconds:+}\n")).expect("the test folder is writable");
        fs::rename(&next, &self.file).expect("the test folder is writable");
    }

    /// Lets `command` see this clock.
    pub fn dress(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_DONT_RESET", "1");
    }
}
