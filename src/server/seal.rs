//! What clients carry for the server from one request to the next, so that they can neither read nor make it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Bytes of the key.
pub(crate) const KEY: usize = 32;

/// A key of this server, and of all that share its database.
pub struct Seal(RandomizedNonceKey);

impl Seal {
    /// From the key's bytes.
    ///
    /// # Errors
    /// A message where they are not 32.
    pub(crate) fn new(key: &[u8]) -> Result<Self, String> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, key);
        key.map(Self).map_err(|_| format!("the key that seals page links does not have {KEY} bytes"))
    }

    /// Seals a text for one use, which has to be named again to open it. None where the machine has no randomness.
    pub(crate) fn seal(&self, purpose: &[u8], text: &[u8]) -> Option<String> {
        let mut sealed = text.to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(purpose), &mut sealed).ok()?;
        Some(URL_SAFE_NO_PAD.encode([nonce.as_ref().as_slice(), &sealed].concat()))
    }

    /// What was sealed for this use; None for what this server has not sealed, or for another use.
    pub(crate) fn open(&self, purpose: &[u8], sealed: &str) -> Option<Vec<u8>> {
        let mut bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, text) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        self.0.open_in_place(nonce, Aad::from(purpose), text).ok().map(|text| text.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_for_the_same_use_alone() {
        let seal = Seal::new(&[7; KEY]).unwrap();
        let sealed = seal.seal(b"one", b"text").unwrap();
        assert_eq!(seal.open(b"one", &sealed).as_deref(), Some(&b"text"[..]));
        assert_ne!(seal.seal(b"one", b"text").unwrap(), sealed, "nobody can tell that two say the same");
        assert_eq!(seal.open(b"other", &sealed), None);
        assert_eq!(Seal::new(&[8; KEY]).unwrap().open(b"one", &sealed), None);
        for forged in ["", "AAAA", &sealed[1..], &format!("{sealed}AAAA"), "not base64!"] {
            assert_eq!(seal.open(b"one", forged), None, "{forged}");
        }
    }
}
