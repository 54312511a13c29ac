//! After the image (`resnapshot=true`): the JVM that it was taken of is watched, and when it has changed and is warm again, a
//! better image takes the place of the first.

use crate::capture::{CaptureError, Occasion};
use crate::job::{self, Job};
use crate::jvm::Jvm;
use crate::report;
use crate::warm::change::{Seen, Since, is_proven, words};
use crate::warm::{Ended, observe};
use hotfork_abi::warm::Evidence;
use hotfork_frozen::instance::epoch;
use hotfork_frozen::syscall::monotonic;
use std::ops::ControlFlow;

/// Until the JVM ends, or an image fails. An instance was promised nothing.
pub fn go_on(jvm: &Jvm, job: &Job, image: Evidence) {
    let (born, mut image) = (epoch(), image);
    loop {
        let occasion = match better(jvm, job, image) {
            Ok(Some(occasion)) => occasion,
            Ok(None) => return,
            Err(error) => {
                report::line(&format!("{error}; the JVM goes on, its image stays and no other will be made"));
                return;
            }
        };
        let taken = job::attempt(jvm, job, &occasion, "its image stays and no other will be made");
        if !taken || epoch() != born {
            return;
        }
        image = occasion.evidence;
    }
}

/// Waits until an image is better than the one that was taken on this evidence; `None` in an instance.
fn better(jvm: &Jvm, job: &Job, image: Evidence) -> Result<Option<Occasion>, CaptureError> {
    let note = |text: &str| {
        if !job.options.quiet {
            report::line(text);
        }
    };
    if !is_proven(&image) {
        note("the image is not proven warm: a better one follows when the JVM is");
    }
    let mut since = Since::new(image);
    let ended = observe(jvm, None, |tick| match since.push(*tick) {
        Seen::Nothing => ControlFlow::Continue(()),
        Seen::Changed(changes) => {
            let changes = words(&changes);
            note(&format!(
                "the JVM has changed since its image was taken: {changes}; a better image follows when it is warm again"
            ));
            ControlFlow::Continue(())
        }
        Seen::Better(evidence, why) => {
            let evidence = Evidence { judged: monotonic(), ..evidence };
            ControlFlow::Break(Occasion { evidence, ..Occasion::new(why) })
        }
    })?;
    Ok(match ended {
        Ended::Broken(occasion) => Some(occasion),
        Ended::TimeUp | Ended::Instance => None,
    })
}
