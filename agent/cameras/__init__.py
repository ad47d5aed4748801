"""Story one, camera by camera: who and where the cameras are, and the recording of one."""
