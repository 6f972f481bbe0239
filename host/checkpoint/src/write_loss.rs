//! write_loss
