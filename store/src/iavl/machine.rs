//! The two things that safe Rust does not ask of the machine: memory in huge pages, and two SHA-256 at a time.
//!
//! All unsafe code of the store is here: three calls, each with its reason. Where the machine lacks either, memory comes
//! in small pages and `sha2` hashes: slower, with the same result.
#![allow(unsafe_code, reason = "three calls; see above and at each of them")]
use std::sync::atomic::AtomicU64;

/// So big is a huge page, in words.
pub(super) const HUGE_WORDS: usize = (2 << 20) / 8;

/// Words of value 0. The system hands out the memory behind them when it is touched.
pub(super) fn zeroed(words: usize) -> Box<[AtomicU64]> {
    // SAFETY: an `AtomicU64` may have any bits, so zero bytes are values of it.
    unsafe { Box::new_zeroed_slice(words).assume_init() }
}

/// Asks for huge pages behind `words`, those that are touched from now on: a random read then seldom misses the
/// address cache. Returns whether the system agreed: it need not.
#[cfg(target_os = "linux")]
pub(super) fn ask_for_huge_pages(words: &[AtomicU64]) -> bool {
    const PAGE: usize = 4096;
    let bytes = words.as_ptr_range();
    let start = bytes.start.addr().next_multiple_of(PAGE);
    let len = bytes.end.addr().saturating_sub(start) & !(PAGE - 1);
    let at = bytes.start.wrapping_byte_add(start - bytes.start.addr());
    // SAFETY: this advice changes how memory is paged and never what it holds, and the whole pages between `at` and
    // `at + len` lie inside a live slice.
    unsafe { libc::madvise(at.cast_mut().cast(), len, libc::MADV_HUGEPAGE) == 0 }
}

/// Only Linux has to be asked.
#[cfg(not(target_os = "linux"))]
pub(super) fn ask_for_huge_pages(_: &[AtomicU64]) -> bool {
    false
}

/// FIPS 180-4, section 5.3.3.
pub(super) const SHA256_START: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// Carries on `N` SHA-256 with as many blocks each. Returns false, and does nothing, where the processor has no
/// instructions for it.
#[cfg(target_arch = "x86_64")]
pub(super) fn compress<const N: usize>(states: &mut [[u32; 8]; N], blocks: [&[[u8; 64]]; N]) -> bool {
    use std::is_x86_feature_detected as has;
    if !(has!("sha") && has!("sse2") && has!("ssse3") && has!("sse4.1")) {
        return false;
    }
    // SAFETY: the processor has what the function is compiled for.
    unsafe { x86::compress(states, blocks) };
    true
}

/// Other processors are left to `sha2`.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn compress<const N: usize>(_: &mut [[u32; 8]; N], _: [&[[u8; 64]]; N]) -> bool {
    false
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// FIPS 180-4, section 4.2.2, four rounds a line.
    const ROUNDS: [[u32; 4]; 16] = [
        [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5],
        [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
        [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3],
        [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
        [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc],
        [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
        [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7],
        [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
        [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13],
        [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
        [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3],
        [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
        [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5],
        [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
        [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208],
        [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
    ];

    #[inline]
    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    fn lanes([a, b, c, d]: [u32; 4]) -> __m128i {
        _mm_set_epi32(d as i32, c as i32, b as i32, a as i32)
    }

    /// 16 bytes as four big-endian numbers.
    #[inline]
    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    fn load(bytes: [u8; 16]) -> __m128i {
        let bytes = u128::from_le_bytes(bytes);
        let swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
        _mm_shuffle_epi8(_mm_set_epi64x((bytes >> 64) as i64, bytes as i64), swap)
    }

    /// The rounds of one chain depend on each other and leave the processor half idle: a second chain fills the gaps.
    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    pub(super) fn compress<const N: usize>(states: &mut [[u32; 8]; N], blocks: [&[[u8; 64]]; N]) {
        // As the instructions want them: F E B A and H G D C, the highest lane last.
        let mut state = states.map(|[a, b, c, d, e, f, g, h]| (lanes([f, e, b, a]), lanes([h, g, d, c])));
        for at in 0..blocks[0].len() {
            let before = state;
            let mut words = blocks.map(|blocks| {
                let (quarters, _) = blocks[at].as_chunks::<16>();
                [
                    load(quarters[0]),
                    load(quarters[1]),
                    load(quarters[2]),
                    load(quarters[3]),
                ]
            });
            for (i, constants) in ROUNDS.into_iter().enumerate() {
                let constants = lanes(constants);
                for (words, (abef, cdgh)) in words.iter_mut().zip(&mut state) {
                    let [w0, w1, w2, w3] = *words;
                    let next = if i < 4 {
                        w0
                    } else {
                        let sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8(w3, w2, 4));
                        _mm_sha256msg2_epu32(sum, w3)
                    };
                    *words = [w1, w2, w3, next];
                    let sum = _mm_add_epi32(next, constants);
                    *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, sum);
                    *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32(sum, 0x0e));
                }
            }
            for ((abef, cdgh), (abef_before, cdgh_before)) in state.iter_mut().zip(before) {
                *abef = _mm_add_epi32(*abef, abef_before);
                *cdgh = _mm_add_epi32(*cdgh, cdgh_before);
            }
        }
        for (out, (abef, cdgh)) in states.iter_mut().zip(state) {
            let lane = |lanes: __m128i| {
                let (low, high) = (
                    _mm_extract_epi64(lanes, 0) as u64,
                    _mm_extract_epi64(lanes, 1) as u64,
                );
                [low as u32, (low >> 32) as u32, high as u32, (high >> 32) as u32]
            };
            let ([f, e, b, a], [h, g, d, c]) = (lane(abef), lane(cdgh));
            *out = [a, b, c, d, e, f, g, h];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn memory_is_zero_and_keeps_what_is_written_whether_or_not_the_system_gives_huge_pages() {
        let words = zeroed(3 * HUGE_WORDS);
        words[5].store(7, Relaxed);
        let _ = ask_for_huge_pages(&words);
        words[HUGE_WORDS].store(8, Relaxed);
        let all: u64 = words.iter().map(|word| word.load(Relaxed)).sum();
        assert_eq!(
            (words[5].load(Relaxed), words[HUGE_WORDS].load(Relaxed), all),
            (7, 8, 15)
        );
        // Less than a page: there is nothing to ask for, and nothing else changes.
        let _ = ask_for_huge_pages(&words[1..3]);
        assert!(!ask_for_huge_pages(&[]) || cfg!(target_os = "linux"));
    }
}
