//! One look at this JVM for each tick: CPU times, samples, compile queue, code cache, classes.

use super::sampler::Sampler;
use super::threads::{Threads, clock};
use crate::capture::{CaptureError, signal};
use crate::hotspot;
use crate::hotspot::code_cache::{Code, CodeCache};
use crate::hotspot::compilers::Compilers;
use crate::hotspot::counters::ClassCounters;
use crate::hotspot::flags::{self, Flags, Switch};
use crate::hotspot::vmstructs::VmStructs;
use crate::jvm::Jvm;
use hotfork_abi::Plain;
use hotfork_abi::warm::{QUEUE_UNKNOWN, TICK_COMPILERS_STOPPED, Tick};
use std::time::{Duration, Instant};

const CLASSES_EVERY: u32 = 4;
/// Walking the code cache takes 0.1 ms for a thousand methods of any tier, so for each thousand a tick goes by without. The windows of a young JVM are three
/// ticks long: a count in each keeps what was compiled before them out of them.
const THOUSAND: u32 = 1000;
const METHODS_EVERY_AT_MOST: u32 = 4;

pub struct Probe {
    threads: Threads,
    sampler: Sampler,
    code: CodeCache,
    compilers: Option<Compilers>,
    /// With -XX:-UseCodeCacheFlushing HotSpot clears it when the code cache is full. `None` where nothing compiles by choice.
    use_compiler: Option<Switch>,
    classes: Option<ClassCounters>,
    began: Instant,
    ticks: u32,
    /// The tick that counts methods.
    methods_at: u32,
    hot_methods: u32,
    loaded: u64,
}

impl Probe {
    pub fn start(jvm: &Jvm) -> Result<Self, CaptureError> {
        let structs = VmStructs::open().ok_or_else(|| {
            CaptureError::Jvm("this JVM exports no vmStructs: Hotfork needs HotSpot 17, 21 or 25".into())
        })?;
        let maps = hotspot::maps()?;
        let interpreted = jvm.property("java.vm.info").contains("interpreted mode");
        let last_level = flags::last_level(&structs, interpreted);
        let code = CodeCache::find(&structs, &maps, last_level).ok_or_else(|| {
            CaptureError::Jvm("this JVM's code cache was not found: use --when after=DURATION".into())
        })?;
        let compilers = Compilers::find_in_this_process();
        if compilers.is_none() {
            log::info!("libjvm.so has no symbol table: compilers are judged by their CPU time alone");
        }
        let use_compiler =
            Flags::find(&structs).filter(|_| last_level > 0).and_then(|flags| flags.switch("UseCompiler"));
        let mut threads = Threads::default();
        threads
            .look()
            .map_err(|error| CaptureError::System { what: "reading /proc/self/task", reason: error.to_string() })?;
        let classes = ClassCounters::find(&structs);
        let sampler = Sampler::new(signal::install()?);
        let began = Instant::now();
        let (ticks, methods_at, hot_methods, loaded) = (0, 0, 0, 0);
        Ok(Self {
            threads,
            sampler,
            code,
            compilers,
            use_compiler,
            classes,
            began,
            ticks,
            methods_at,
            hot_methods,
            loaded,
        })
    }

    /// What happened since the last one.
    pub fn tick(&mut self, jvm: &Jvm) -> std::io::Result<Tick> {
        let used = self.threads.look()?;
        let mut tick = Tick { at: self.began.elapsed().as_nanos() as u64, ..Tick::zeroed() };
        (tick.app_cpu, tick.jit_cpu, tick.vm_cpu) = (used.app, used.jit, used.jvm);
        for pc in self.sampler.take() {
            match self.code.code_at(pc) {
                None | Some(Code::Other) => tick.native += 1,
                Some(code) if self.code.is_final(code) => tick.hot += 1,
                Some(_) => tick.cold += 1,
            }
        }
        self.sampler.follow(self.threads.of_the_application());
        if self.ticks == self.methods_at {
            self.hot_methods = self.code.hot_methods();
            self.methods_at += ticks_until_methods_are_counted(self.hot_methods);
        }
        if self.ticks.is_multiple_of(CLASSES_EVERY) {
            self.loaded = self.count_classes(jvm);
        }
        self.ticks += 1;
        tick.hot_methods = self.hot_methods;
        tick.classes = self.loaded;
        tick.queue = self.compilers.as_ref().and_then(Compilers::waiting).unwrap_or(QUEUE_UNKNOWN);
        if self.compilers_stopped() {
            tick.flags |= TICK_COMPILERS_STOPPED;
        }
        Ok(tick)
    }

    fn compilers_stopped(&self) -> bool {
        self.compilers.as_ref().is_some_and(Compilers::stopped)
            || self.use_compiler.as_ref().is_some_and(|flag| !flag.is_on())
    }

    /// Without counters (-XX:-UsePerfData) JVMTI lists the classes, at a few milliseconds for ten thousand.
    fn count_classes(&self, jvm: &Jvm) -> u64 {
        match &self.classes {
            Some(counters) => counters.loaded(),
            None => jvm.count_classes().unwrap_or(self.loaded),
        }
    }

    /// CPU time that the calling thread has used.
    pub fn own_cpu() -> Duration {
        Duration::from_nanos(clock(libc::CLOCK_THREAD_CPUTIME_ID).unwrap_or(0))
    }
}

fn ticks_until_methods_are_counted(hot_methods: u32) -> u32 {
    (1 + hot_methods / THOUSAND).min(METHODS_EVERY_AT_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewer_methods_the_oftener_they_are_counted() {
        let hot_methods = [0, 999, 1000, 2500, 3000, 40_000];
        assert_eq!(hot_methods.map(ticks_until_methods_are_counted), [1, 1, 2, 3, 4, 4]);
    }
}
