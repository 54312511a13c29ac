//! The JVM's calls into the agent: load, attach, VMInit, VMDeath.
//!
//! # Safety contract of this file
//! Environments are used on the thread and for the length of the callback that passed them.
#![allow(unsafe_code)]

use crate::control;
use crate::job::{self, Job, Moment};
use crate::jvm::Jvm;
use crate::options::{Options, Restore, When};
use crate::report;
use jvmti_bindings::agent::AgentLoadContext;
use jvmti_bindings::callbacks::{CallbackContext, ThreadEvent};
use jvmti_bindings::env::{JniEnv, Jvmti};
use jvmti_bindings::sys::jni;
use jvmti_bindings::{Agent, export_agent};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Mutex;

/// Set by `hotfork run` to the pid that it becomes: the decision whether to restore is made.
const DECIDED: &str = "HOTFORK_RUN_PID";

#[derive(Default)]
struct Hotfork {
    options: Mutex<Option<Options>>,
}

impl Agent for Hotfork {
    fn on_load(&self, context: AgentLoadContext<'_>) -> jni::jint {
        start_logging();
        let options = match parse(&context) {
            Ok(options) => options,
            Err(text) => {
                report::line(&text);
                return jni::JNI_ERR;
            }
        };
        if !is_for_this_process(&options) {
            return jni::JNI_OK;
        }
        if let Err(text) = restore_instead(&options) {
            report::line(&text);
            return jni::JNI_ERR;
        }
        let Ok(ti) = context.vm().jvmti() else {
            report::line("this JVM offers no JVMTI: Hotfork needs HotSpot 17, 21 or 25; start java without the agent");
            return jni::JNI_ERR;
        };
        if ti.set_default_agent_callbacks().is_err() || ti.enable_vm_lifecycle_events().is_err() {
            report::line("JVMTI refuses VM events; the JVM starts, but nothing will be captured");
            return jni::JNI_OK;
        }
        *self.options.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(options);
        jni::JNI_OK
    }

    fn on_attach(&self, context: AgentLoadContext<'_>) -> jni::jint {
        start_logging();
        let options = match parse(&context) {
            Ok(options) => self.with_remembered_image(options),
            Err(text) => {
                report::line(&text);
                return jni::JNI_ERR;
            }
        };
        let (Ok(ti), Some(jni)) = (context.vm().jvmti(), jni_of_this_thread(&context)) else {
            report::line("this JVM offers no JVMTI to an agent that is attached; it goes on without Hotfork");
            return jni::JNI_ERR;
        };
        let jvm = Jvm { ti, jni };
        let started = match options.control.clone().filter(|_| options.watch) {
            Some(control) => crate::warm::watch::start(&jvm, control),
            None => job::start(&jvm, Job { options, moment: Moment::Now }),
        };
        match started {
            Ok(()) => jni::JNI_OK,
            Err(error) => {
                report::line(&format!("nothing is done here: {error}"));
                jni::JNI_ERR
            }
        }
    }

    fn vm_init(&self, context: CallbackContext<'_>, _event: ThreadEvent) {
        // All agents have been loaded and have seen it. A restore's environment does not have it: each instance would have to take
        // it out of the JDK's map, by calls of Java methods.
        // SAFETY: no Java code of the application runs yet, and HotSpot's own threads do not read the environment.
        unsafe { std::env::remove_var(DECIDED) };
        let options = self.options.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
        let (Some(mut options), Some(env)) = (options, context.jni()) else { return };
        // SAFETY: both environments belong to the thread that runs this callback and are used during it only.
        let jvm = unsafe { Jvm { ti: Jvmti::from_raw(context.jvmti().raw()), jni: JniEnv::from_raw(env.raw()) } };
        if let Some(control) = options.control.take() {
            if let Err(error) = control::start(&jvm, control, options.clone()) {
                report::line(&format!("{error}; the JVM goes on without it"));
            }
        }
        let when = options.when();
        if when.needs_ready() {
            crate::ready::expect();
        }
        if let Err(error) = crate::load::start(&jvm, &options) {
            report::line(&format!("{error}; the JVM goes on without its training load"));
        }
        let deadline = options.deadline;
        let moment = match when {
            When::Manual => return,
            When::After(delay) => Moment::After(delay),
            When::Ready => Moment::Ready { deadline },
            When::Warm => Moment::Warm { deadline, ready: false },
            When::WarmAndReady => Moment::Warm { deadline, ready: true },
        };
        if let Err(error) = job::start(&jvm, Job { options, moment }) {
            report::line(&format!("nothing will be captured: {error}"));
        }
    }

    fn vm_death(&self, _context: CallbackContext<'_>) {
        job::the_jvm_ends();
        control::remove();
    }

    fn callback_panicked(&self, event: &'static str) {
        report::line(&format!("the agent failed inside {event} (this is a bug); the JVM goes on without it"));
    }
}

export_agent!(Hotfork);

impl Hotfork {
    /// An agent that was started with an image keeps it as the default of `snapshot`.
    fn with_remembered_image(&self, mut options: Options) -> Options {
        let remembered = self.options.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let (None, Some(remembered)) = (&options.image, &*remembered) {
            options.image = remembered.image.clone();
        }
        options
    }
}

fn parse(context: &AgentLoadContext<'_>) -> Result<Options, String> {
    let text = context.options_str().map_err(|_| "the agent's options are not text".to_string())?;
    Options::parse(text.as_deref().unwrap_or("")).map_err(|error| error.to_string())
}

fn is_for_this_process(options: &Options) -> bool {
    options.pid.is_none_or(|pid| pid == std::process::id() as i32)
}

/// With `restore=auto|always` and an image: `hotfork run` decides, and becomes either the image or
/// this same command again, in this same process. Comes back only when there is nothing to decide.
fn restore_instead(options: &Options) -> Result<(), String> {
    let decided = std::env::var(DECIDED).is_ok_and(|pid| pid == std::process::id().to_string());
    let Some(image) = options.image.as_deref().filter(|_| options.restore != Restore::Never && !decided) else {
        return Ok(());
    };
    if options.restore == Restore::Auto && !image.exists() {
        return Ok(());
    }
    let helper = crate::capture::helper_path(options).map_err(|error| error.to_string())?;
    let command = std::fs::read("/proc/self/cmdline")
        .map_err(|error| format!("cannot read /proc/self/cmdline ({error}): mount /proc, or use restore=never"))?;
    let mut run = Command::new(&helper);
    run.args(["run", "--image"]).arg(image).args(["--restore", options.restore.as_str()]);
    run.args(["--when", &options.when().to_string()]);
    if let Some(deadline) = options.deadline {
        run.arg("--deadline").arg(format!("{}ms", deadline.as_millis()));
    }
    if options.quiet {
        run.arg("--quiet");
    }
    if !options.quiesce {
        run.arg("--no-quiesce");
    }
    if options.resnapshot {
        run.arg("--resnapshot");
    }
    if options.exit {
        run.arg("--exit");
    }
    if options.mode != 0 {
        run.arg("--mode").arg(format!("{:o}", options.mode));
    }
    for load in &options.load {
        run.arg("--load").arg(load);
    }
    if let Some(port) = options.load_port {
        run.arg("--load-port").arg(port.to_string());
    }
    for url in &options.trial {
        run.arg("--trial").arg(url);
    }
    run.arg("--max-stop").arg(format!("{}ms", options.max_stop.as_millis()));
    if let Some(uid) = options.trust_owner {
        run.arg("--trust-owner").arg(uid.to_string());
    }
    run.arg("--");
    for argument in command.strip_suffix(b"\0").unwrap_or(&command).split(|&byte| byte == 0) {
        run.arg(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(argument));
    }
    let error = run.exec();
    Err(format!("cannot start {} ({error}): reinstall Hotfork so that both files lie side by side", helper.display()))
}

fn jni_of_this_thread(context: &AgentLoadContext<'_>) -> Option<JniEnv> {
    let vm = context.vm().raw();
    let mut env = std::ptr::null_mut();
    // SAFETY: Agent_OnAttach runs on a thread that is attached to this live VM; GetEnv fills `env`.
    unsafe {
        let get_env = (**vm).GetEnv;
        (get_env(vm, &raw mut env, jni::JNI_VERSION_1_8) == jni::JNI_OK && !env.is_null())
            .then(|| JniEnv::from_raw(env.cast()))
    }
}

/// Logging for developers of Hotfork: HOTFORK_LOG=debug.
fn start_logging() {
    let environment = env_logger::Env::new().filter_or("HOTFORK_LOG", "off");
    // A second load finds the logger in place already; that is no error.
    let _ = env_logger::Builder::from_env(environment).try_init();
}
