//! Values of a model: arrays of one element type, of any rank.
