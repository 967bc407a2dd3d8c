//! Know accounts: keys, sequences, parameters, signatures of the Cosmos kind.
