//! RTMP: listens for encoders and bridges what they publish to frames.
