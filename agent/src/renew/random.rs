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
    THREAD_LOCAL_RANDOM, overwrite,
};
use crate::jvm::{JavaError, Jvm};
use jvmti_bindings::sys::jni::{jobject, jthread};

/// Length of SHA1PRNG's state.
const SHA1: usize = 20;
/// `java.util.Random` keeps 48 bits.
const RANDOM_MASK: i64 = (1 << 48) - 1;

pub fn renew(jvm: &Jvm, classes: &KnownClasses, threads: &[jthread]) -> Result<(), JavaError> {
    let mut entropy = Entropy;
    let seeds = [(THREAD_LOCAL_RANDOM, "seeder"), (RANDOM, "seedUniquifier"), (SPLITTABLE_RANDOM, "defaultGen")];
    for (class, field) in seeds {
        let Some(class) = classes.initialised(jvm, class) else { continue };
        if let Some(seed) = class.static_object(jvm, field, "Ljava/util/concurrent/atomic/AtomicLong;")? {
            set_atomic(jvm, classes, seed, entropy.long()?)?;
        }
    }
    let generators =
        [(MATH_RANDOM, "randomNumberGenerator"), (STRICT_MATH_RANDOM, "randomNumberGenerator"), (COLLECTIONS, "r")];
    for (class, field) in generators {
        let Some(class) = classes.initialised(jvm, class) else { continue };
        if let Some(random) = class.static_object(jvm, field, "Ljava/util/Random;")? {
            let seed =
                classes.needed(jvm, RANDOM)?.object(jvm, random, "seed", "Ljava/util/concurrent/atomic/AtomicLong;")?;
            if let Some(seed) = seed {
                set_atomic(jvm, classes, seed, entropy.long()? & RANDOM_MASK)?;
            }
        }
    }
    seed_threads(jvm, classes, threads, &mut entropy)?;
    for class in [NATIVE_PRNG, NATIVE_PRNG_BLOCKING, NATIVE_PRNG_NON_BLOCKING] {
        if let Some(class) = classes.initialised(jvm, class) {
            native_prng(jvm, classes, class, &mut entropy)?;
        }
    }
    if let Some(holder) = classes.initialised(jvm, SHA1_SEEDER) {
        if let Some(seeder) = holder.static_object(jvm, "seeder", "Lsun/security/provider/SecureRandom;")? {
            sha1_prng(jvm, classes, seeder, &mut entropy)?;
        }
    }
    Ok(())
}

fn set_atomic(jvm: &Jvm, classes: &KnownClasses, object: jobject, value: i64) -> Result<(), JavaError> {
    classes.needed(jvm, ATOMIC_LONG)?.set_long(jvm, object, "value", value)
}

/// Seeds of `ThreadLocalRandom`. A probe of 0 would make each thread seed itself at its next use, but by a branch that compiled code has never
/// taken: an uncommon trap wherever `ThreadLocalRandom.current` is inlined.
fn seed_threads(
    jvm: &Jvm,
    classes: &KnownClasses,
    threads: &[jthread],
    entropy: &mut Entropy,
) -> Result<(), JavaError> {
    let class = classes.needed(jvm, THREAD)?;
    for &thread in threads {
        // Most have never drawn (their probe is 0): their pages stay shared.
        if class.int(jvm, thread, "threadLocalRandomProbe")? != 0 {
            class.set_long(jvm, thread, "threadLocalRandomSeed", entropy.long()?)?;
        }
    }
    Ok(())
}

/// NativePRNG buffers bytes of /dev/urandom, good for 100 ms by the wall clock, and mixes with a SHA1PRNG.
fn native_prng(jvm: &Jvm, classes: &KnownClasses, class: Class<'_>, entropy: &mut Entropy) -> Result<(), JavaError> {
    let signature = "Lsun/security/provider/NativePRNG$RandomIO;";
    let Some(instance) = class.static_object(jvm, "INSTANCE", signature)? else { return Ok(()) };
    let random_io = classes.needed(jvm, RANDOM_IO)?;
    random_io.set_int(jvm, instance, "buffered", 0)?;
    random_io.set_long(jvm, instance, "lastRead", 0)?;
    if let Some(mixer) = random_io.object(jvm, instance, "mixRandom", "Lsun/security/provider/SecureRandom;")? {
        sha1_prng(jvm, classes, mixer, entropy)?;
    }
    Ok(())
}

fn sha1_prng(jvm: &Jvm, classes: &KnownClasses, generator: jobject, entropy: &mut Entropy) -> Result<(), JavaError> {
    let class = classes.needed(jvm, SHA1_PRNG)?;
    if let Some(state) = class.object(jvm, generator, "state", "[B")? {
        overwrite(jvm, state, &entropy.bytes::<SHA1>()?);
    }
    class.set_int(jvm, generator, "remCount", 0)
}

/// The kernel's generator.
struct Entropy;

impl Entropy {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], JavaError> {
        let mut bytes = [0; N];
        // SAFETY: the kernel writes at most N bytes into the array.
        let filled = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), N, 0) };
        if filled != N as isize {
            return Err(JavaError(format!("getrandom gave {filled} bytes of {N}")));
        }
        Ok(bytes)
    }

    fn long(&mut self) -> Result<i64, JavaError> {
        self.bytes().map(i64::from_le_bytes)
    }
}
