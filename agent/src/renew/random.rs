//! Random state that static fields of the JDK reach: instances of one image must not share it.
//!
//! Objects that only a heap walk finds (an application's own SHA1PRNG) are not renewed here.
//!
//! # Safety contract of this file
//! `unsafe` is getrandom(2) into an array of our own.
#![allow(unsafe_code)]

use super::java::{
    ATOMIC_LONG, COLLECTIONS, Class, KnownClasses, MATH_RANDOM, NATIVE_PRNG, NATIVE_PRNG_BLOCKING,
    NATIVE_PRNG_NON_BLOCKING, RANDOM, RANDOM_IO, SHA1_PRNG, SHA1_SEEDER, SPLITTABLE_RANDOM, STRICT_MATH_RANDOM, THREAD,
    THREAD_LOCAL_RANDOM,
};
use super::objects::{Int, Long, overwrite};
use crate::jvm::{JavaError, Jvm};
use jvmti_bindings::sys::jni::{jobject, jthread};

/// Length of SHA1PRNG's state.
const SHA1: usize = 20;
/// `java.util.Random` keeps 48 bits.
const RANDOM_MASK: i64 = (1 << 48) - 1;

const ATOMIC: &str = "Ljava/util/concurrent/atomic/AtomicLong;";

/// Where random state lies.
#[derive(Default)]
pub struct RandomState {
    /// What is drawn anew, and the bits that count.
    seeds: Vec<(Long, i64)>,
    /// What empties buffers.
    zero_ints: Vec<Int>,
    zero_longs: Vec<Long>,
    /// States of SHA1PRNGs, arrays of bytes.
    digests: Vec<jobject>,
    /// Probes and seeds of threads that may draw until they stand still.
    running: Vec<(Int, Long)>,
}

impl RandomState {
    /// `threads` are all there are, and whether each one is suspended.
    pub fn find(jvm: &Jvm, classes: &KnownClasses, threads: &[(jthread, bool)]) -> Result<Self, JavaError> {
        let mut state = Self::default();
        let seeds = [(THREAD_LOCAL_RANDOM, "seeder"), (RANDOM, "seedUniquifier"), (SPLITTABLE_RANDOM, "defaultGen")];
        for (class, field) in seeds {
            let Some(class) = classes.initialised(jvm, class) else { continue };
            if let Some(seed) = class.static_object(jvm, field, ATOMIC)? {
                state.seeds.push((value(jvm, classes, seed)?, !0));
            }
        }
        let generators =
            [(MATH_RANDOM, "randomNumberGenerator"), (STRICT_MATH_RANDOM, "randomNumberGenerator"), (COLLECTIONS, "r")];
        for (class, field) in generators {
            let Some(class) = classes.initialised(jvm, class) else { continue };
            if let Some(random) = class.static_object(jvm, field, "Ljava/util/Random;")? {
                if let Some(seed) = classes.needed(jvm, RANDOM)?.object(jvm, random, "seed", ATOMIC)? {
                    state.seeds.push((value(jvm, classes, seed)?, RANDOM_MASK));
                }
            }
        }
        state.threads(jvm, classes, threads)?;
        for class in [NATIVE_PRNG, NATIVE_PRNG_BLOCKING, NATIVE_PRNG_NON_BLOCKING] {
            if let Some(class) = classes.initialised(jvm, class) {
                state.native_prng(jvm, classes, class)?;
            }
        }
        if let Some(holder) = classes.initialised(jvm, SHA1_SEEDER) {
            if let Some(seeder) = holder.static_object(jvm, "seeder", "Lsun/security/provider/SecureRandom;")? {
                state.sha1_prng(jvm, classes, seeder)?;
            }
        }
        Ok(state)
    }

    /// Seeds of `ThreadLocalRandom`. A probe of 0 would make each thread seed itself at its next use, but by a branch that compiled code has
    /// never taken: an uncommon trap wherever `ThreadLocalRandom.current` is inlined.
    fn threads(&mut self, jvm: &Jvm, classes: &KnownClasses, threads: &[(jthread, bool)]) -> Result<(), JavaError> {
        let class = classes.needed(jvm, THREAD)?;
        for &(thread, suspended) in threads {
            let probe = class.int(jvm, thread, "threadLocalRandomProbe")?;
            let seed = class.long(jvm, thread, "threadLocalRandomSeed")?;
            if !suspended {
                self.running.push((probe, seed));
            } else if probe.get(jvm) != 0 {
                // Most have never drawn: their pages stay shared.
                self.seeds.push((seed, !0));
            }
        }
        Ok(())
    }

    /// NativePRNG buffers bytes of /dev/urandom, good for 100 ms by the wall clock, and mixes with a SHA1PRNG.
    fn native_prng(&mut self, jvm: &Jvm, classes: &KnownClasses, class: Class<'_>) -> Result<(), JavaError> {
        let signature = "Lsun/security/provider/NativePRNG$RandomIO;";
        let Some(instance) = class.static_object(jvm, "INSTANCE", signature)? else { return Ok(()) };
        let random_io = classes.needed(jvm, RANDOM_IO)?;
        self.zero_ints.push(random_io.int(jvm, instance, "buffered")?);
        self.zero_longs.push(random_io.long(jvm, instance, "lastRead")?);
        if let Some(mixer) = random_io.object(jvm, instance, "mixRandom", "Lsun/security/provider/SecureRandom;")? {
            self.sha1_prng(jvm, classes, mixer)?;
        }
        Ok(())
    }

    fn sha1_prng(&mut self, jvm: &Jvm, classes: &KnownClasses, generator: jobject) -> Result<(), JavaError> {
        let class = classes.needed(jvm, SHA1_PRNG)?;
        self.digests.extend(class.object(jvm, generator, "state", "[B")?);
        self.zero_ints.push(class.int(jvm, generator, "remCount")?);
        Ok(())
    }

    pub fn renew(&self, jvm: &Jvm) -> Result<(), JavaError> {
        for &(seed, mask) in &self.seeds {
            seed.set(jvm, entropy_long()? & mask);
        }
        for (probe, seed) in &self.running {
            if probe.get(jvm) != 0 {
                seed.set(jvm, entropy_long()?);
            }
        }
        for &digest in &self.digests {
            overwrite(jvm, digest, &entropy::<SHA1>()?);
        }
        self.zero_ints.iter().for_each(|int| int.set(jvm, 0));
        self.zero_longs.iter().for_each(|long| long.set(jvm, 0));
        Ok(())
    }
}

fn value(jvm: &Jvm, classes: &KnownClasses, atomic: jobject) -> Result<Long, JavaError> {
    classes.needed(jvm, ATOMIC_LONG)?.long(jvm, atomic, "value")
}

/// From the kernel's generator.
fn entropy<const N: usize>() -> Result<[u8; N], JavaError> {
    let mut bytes = [0; N];
    // SAFETY: the kernel writes at most N bytes into the array.
    let filled = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), N, 0) };
    if filled != N as isize {
        return Err(JavaError(format!("getrandom gave {filled} bytes of {N}")));
    }
    Ok(bytes)
}

fn entropy_long() -> Result<i64, JavaError> {
    entropy().map(i64::from_le_bytes)
}
