//! A moving sign with counts on standard error while something takes its time.
//!
//! Only for people: there is none with `--json`, where standard error is no terminal, and in a
//! program built without the feature `progress`.

use std::pin::pin;
use std::time::Duration;

use node::Failure;

/// Time between two looks at how far the work is.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Shown until it is dropped.
pub(crate) struct Sign {
    #[cfg(feature = "progress")]
    bar: indicatif::ProgressBar,
}

#[cfg(feature = "progress")]
impl Sign {
    /// A sign that says `what`; hidden if `json`.
    pub(crate) fn new(what: &str, json: bool) -> Self {
        use indicatif::{ProgressBar, ProgressStyle};
        if json {
            return Self {
                bar: ProgressBar::hidden(),
            };
        }
        let bar = ProgressBar::new_spinner();
        let template = format!("{{spinner}} {what} {{msg}} ({{elapsed}})");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar }
    }

    fn is_seen(&self) -> bool {
        !self.bar.is_hidden()
    }

    fn tell(&self, how_far: String) {
        self.bar.set_message(how_far);
    }
}

#[cfg(feature = "progress")]
impl Drop for Sign {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(not(feature = "progress"))]
impl Sign {
    pub(crate) fn new(_what: &str, _json: bool) -> Self {
        Self {}
    }

    fn is_seen(&self) -> bool {
        false
    }

    fn tell(&self, _how_far: String) {}
}

/// Has `work` done; meanwhile `sign`, if somebody sees it, tells what `count` says.
pub(crate) async fn watched<T>(
    sign: &Sign,
    count: impl AsyncFn() -> Result<String, Failure>,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let mut work = pin!(work);
    if !sign.is_seen() {
        return work.await;
    }
    loop {
        tokio::select! {
            done = &mut work => return done,
            // The work tells what is wrong; a count that did not come is only not shown.
            counted = count() => if let Ok(how_far) = counted {
                sign.tell(how_far);
            },
        }
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

/// A bar for each file that moves between this computer and a node.
#[cfg(feature = "client")]
pub(crate) struct Bar {
    json: bool,
    #[cfg(feature = "progress")]
    bar: std::cell::RefCell<Option<indicatif::ProgressBar>>,
}

#[cfg(feature = "client")]
impl Bar {
    /// Hidden if `json`.
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            #[cfg(feature = "progress")]
            bar: std::cell::RefCell::default(),
        }
    }
}

#[cfg(feature = "client")]
impl client::Progress for Bar {
    #[cfg(feature = "progress")]
    fn begin(&self, name: &str, length: u64, present: u64) {
        use indicatif::{ProgressBar, ProgressStyle};
        if self.json {
            return;
        }
        let bar = ProgressBar::new(length).with_position(present);
        let template = "{msg} {bar:24} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(crate::plain_text::of_value(name).into_owned());
        *self.bar.borrow_mut() = Some(bar);
    }

    #[cfg(not(feature = "progress"))]
    fn begin(&self, _name: &str, _length: u64, _present: u64) {}

    fn advance(&self, bytes: u64) {
        #[cfg(feature = "progress")]
        if let Some(bar) = &*self.bar.borrow() {
            bar.inc(bytes);
        }
        #[cfg(not(feature = "progress"))]
        let _ = bytes;
    }

    fn end(&self) {
        #[cfg(feature = "progress")]
        if let Some(bar) = self.bar.borrow_mut().take() {
            bar.finish_and_clear();
        }
    }

    fn note(&self, line: &str) {
        if !self.json {
            crate::print::note(&crate::plain_text::of_value(line));
        }
    }
}
