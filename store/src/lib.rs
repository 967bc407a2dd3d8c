//! Keep state versioned, hashed, provable and durable: IAVL trees and flat state on sled.
