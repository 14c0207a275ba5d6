//! Long private-key operations, done between two calls of a module.

use huiwan_crypto::sm2::DEFAULT_ID;
use huiwan_crypto::{CryptoError, Random, Suite};
use zeroize::{Zeroize, Zeroizing};

use super::forward::Then;
use super::{Element, Environment, Progress, Turn};
use crate::bytes::copy;
use crate::directory::Directory;
use crate::memory::{InstanceId, Memory, MemoryError, ObjectId};
use crate::module::Compute;

/// The largest CRT component: half of a 2048-bit modulus.
const COMPONENT: usize = 128;
/// The largest result.
const RESULT: usize = 2 * COMPONENT;

/// [`Suite::sign_rsa`].
type SignRsa = for<'o> fn([&[u8]; 5], &[u8], &mut dyn Random, &'o mut [u8]) -> Result<&'o [u8], CryptoError>;
/// [`Suite::sign_sm2`].
type SignSm2 = fn(&[u8; 32], &[&[u8]], &[u8], &mut dyn Random) -> Result<[u8; 64], CryptoError>;

/// What our software signs with: the functions of one [`Suite`], so that an image links no algorithm its suite lacks.
#[derive(Clone, Copy)]
pub(super) struct Signer {
    rsa: SignRsa,
    sm2: SignSm2,
}

impl Signer {
    pub(super) const fn of<S: Suite>() -> Self {
        Self { rsa: S::sign_rsa, sm2: S::sign_sm2 }
    }
}

/// A private-key operation that a command waits for. Key objects are read from memory by whoever does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// Whose key it is.
    pub instance: InstanceId,
    /// What to compute; the input is at [`Element::job_input`].
    pub compute: Compute,
}

impl Job {
    pub(super) fn new(instance: InstanceId, compute: Compute) -> Self {
        Self { instance, compute }
    }

    fn input_len(&self) -> usize {
        match self.compute {
            Compute::RsaCrt { len, .. } | Compute::Sm2Sign { len, .. } => len,
        }
    }
}

impl<
    M: Memory,
    D: Directory,
    const SLOTS: usize,
    const SLOT: usize,
    const SCRATCH: usize,
    const ANSWER: usize,
> Element<'_, M, D, SLOTS, SLOT, SCRATCH, ANSWER>
{
    /// The input of the job that is waiting, empty without one.
    #[must_use]
    pub fn job_input(&self) -> &[u8] {
        let (Some(job), Some(frame)) = (self.job, self.frames.last()) else { return &[] };
        let end = frame.base().saturating_add(job.input_len());
        self.scratch.get(frame.base()..end).unwrap_or_default()
    }

    /// Does the waiting job in software and goes on; a job outside the element's suite fails. Without a job the answer is
    /// 6F00.
    pub fn run_job<'r>(&'r mut self, env: &mut Environment<'_>) -> Turn<'r> {
        let progress = self.compute(env);
        self.turn(progress)
    }

    /// Goes on with the result of the waiting job. Without a job the answer is 6F00.
    pub fn resume<'r>(
        &'r mut self,
        result: Result<&[u8], CryptoError>,
        env: &mut Environment<'_>,
    ) -> Turn<'r> {
        let progress = self.proceed(result, env);
        self.turn(progress)
    }

    pub(super) fn compute(&mut self, env: &mut Environment<'_>) -> Progress {
        let Some(job) = self.job else { return self.proceed(Err(CryptoError), env) };
        let mut out = [0; RESULT];
        let result = match job.compute {
            Compute::RsaCrt { key, .. } => self.rsa_crt(job, key, env, &mut out),
            Compute::Sm2Sign { key, .. } => self.sm2_sign(job, key, env, &mut out),
        };
        let progress = self.proceed(result.map(|n| out.get(..n).unwrap_or_default()), env);
        out.as_mut_slice().zeroize();
        progress
    }

    fn rsa_crt(
        &mut self,
        job: Job,
        key: [u16; 5],
        env: &mut Environment<'_>,
        out: &mut [u8],
    ) -> Result<usize, CryptoError> {
        let mut parts = Zeroizing::new([[0; COMPONENT]; 5]);
        let mut lens = [0; 5];
        for ((part, len), id) in parts.iter_mut().zip(&mut lens).zip(key) {
            *len = self.key_part(ObjectId::new(job.instance, id), part)?;
        }
        let [p, q, dp, dq, qinv] = &*parts;
        let [np, nq, ndp, ndq, nqinv] = lens;
        let key = [
            p.get(..np).ok_or(CryptoError)?,
            q.get(..nq).ok_or(CryptoError)?,
            dp.get(..ndp).ok_or(CryptoError)?,
            dq.get(..ndq).ok_or(CryptoError)?,
            qinv.get(..nqinv).ok_or(CryptoError)?,
        ];
        Ok((self.signer.rsa)(key, self.job_input(), env.random, out)?.len())
    }

    fn sm2_sign(
        &mut self,
        job: Job,
        key: u16,
        env: &mut Environment<'_>,
        out: &mut [u8],
    ) -> Result<usize, CryptoError> {
        let mut secret = Zeroizing::new([0; 32]);
        if self.key_part(ObjectId::new(job.instance, key), &mut *secret)? != 32 {
            return Err(CryptoError);
        }
        let signature = (self.signer.sm2)(&secret, &[self.job_input()], DEFAULT_ID, env.random)?;
        copy(out.get_mut(..signature.len()).ok_or(CryptoError)?, &signature);
        Ok(signature.len())
    }

    /// Reads a key object, which has to fit.
    fn key_part(&mut self, object: ObjectId, out: &mut [u8]) -> Result<usize, CryptoError> {
        let opaque = |_: MemoryError| CryptoError;
        match self.memory.len(object).map_err(opaque)? {
            Some(len) if len <= out.len() => Ok(self.memory.read(object, 0, out).map_err(opaque)?.len()),
            _ => Err(CryptoError),
        }
    }

    fn proceed(&mut self, result: Result<&[u8], CryptoError>, env: &mut Environment<'_>) -> Progress {
        let (Some(_), Some(frame)) = (self.job.take(), self.frames.last()) else {
            self.abandon();
            return self.finish(huiwan_apdu::Sw::UNKNOWN, env);
        };
        let base = frame.base();
        if let Some(own) = self.scratch.get_mut(base..) {
            own.zeroize();
        }
        let result = result.and_then(|bytes| {
            let place =
                self.scratch.get_mut(base..).and_then(|own| own.get_mut(..bytes.len())).ok_or(CryptoError)?;
            copy(place, bytes);
            Ok(bytes.len())
        });
        let action = self.top(env, Some(Then::Computed(result)));
        match self.run(env, action) {
            Some(sw) => self.finish(sw, env),
            None => match self.job {
                Some(job) => Progress::Computing(job),
                None => self.finish(huiwan_apdu::Sw::UNKNOWN, env),
            },
        }
    }
}
