"""The real stack for acceptance, bad-input and crash tests: started once for each pytest process, shared by all."""
