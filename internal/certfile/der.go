package certfile

// readDER reads a binary file: one value, or several one after the other.
func readDER(r *reader, data []byte) error {
	r.format = "DER"
	for first := true; len(data) > 0; first = false {
		if !first && data[0] != tagSequence {
			break // something else follows
		}
		der, rest, err := derOf(data)
		if err != nil && first {
			return r.problem(formatError("%v", err))
		}
		if err != nil {
			break
		}
		if err := r.count(); err != nil {
			return err
		}
		if err := addDER(r, data[:len(data)-len(rest)], der); err != nil {
			return err
		}
		data = trimFiller(rest)
	}
	return nil
}

// addDER adds one value: raw as it stands in the file, der after [derOf].
func addDER(r *reader, raw, der []byte) error {
	switch classify(der) {
	case kindPFX:
		if r.publicOnly {
			return r.problem(formatError("it is %s", notePFX))
		}
		r.format = "PFX" // also inside PEM
		return readPFX(r, der)
	case kindCertificate:
		return r.addCertificate(raw)
	case kindEncryptedPKCS8:
		return r.addLocked(newLockedKey(&r.unlocker, der, false))
	case kindPKCS7:
		return addPKCS7(r, der)
	case kindPublicKey:
		r.note(notePublicKey)
		return nil
	case kindPkiPath:
		return addPkiPath(r, der)
	case kindOtherCMS:
		r.note(noteCMS)
		return nil
	case kindTPMKey:
		r.note(noteTPM)
		return nil
	case kindBCFKS:
		r.note(noteBCFKS)
		return nil
	case kindParameters:
		r.addGroup(der)
		return nil
	default:
		return r.addKey(der)
	}
}
