package tpm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// policyStep is one command of a policy, with its parameters as the TPM takes them (TPM 2.0
// Part 3, §23): all of the command but its header and the session.
type policyStep struct {
	command uint32
	body    []byte
}

// policyCommands are those that need nothing but the session and their parameters. Others
// need keys, signatures or indices that a key file doesn't have.
var policyCommands = map[tpm2.TPMCC]string{
	tpm2.TPMCCPolicyAuthValue:    "PolicyAuthValue",
	tpm2.TPMCCPolicyCommandCode:  "PolicyCommandCode",
	tpm2.TPMCCPolicyCounterTimer: "PolicyCounterTimer",
	tpm2.TPMCCPolicyCpHash:       "PolicyCpHash",
	tpm2.TPMCCPolicyLocality:     "PolicyLocality",
	tpm2.TPMCCPolicyNameHash:     "PolicyNameHash",
	tpm2.TPMCCPolicyOR:           "PolicyOR",
	tpm2.TPMCCPolicyPassword:     "PolicyPassword",
	tpm2.TPMCCPolicyPCR:          "PolicyPCR",
}

// check refuses a command that isn't run.
func (step policyStep) check() error {
	if _, ok := policyCommands[tpm2.TPMCC(step.command)]; !ok {
		return unsupported("the key's policy has the command %#x, which a key file doesn't suffice for", step.command)
	}
	return nil
}

// run sends the command in a policy session. The password is never sent plain.
func (step policyStep) run(tpm transport.TPM, session tpm2.TPMHandle) error {
	const header = 10 // tag, size and code
	command := make([]byte, 0, header+4+len(step.body))
	command = binary.BigEndian.AppendUint16(command, uint16(tpm2.TPMSTNoSessions))
	command = binary.BigEndian.AppendUint32(command, uint32(cap(command)))
	command = binary.BigEndian.AppendUint32(command, uint32(withoutPlain(step.command)))
	command = binary.BigEndian.AppendUint32(command, uint32(session))
	command = append(command, step.body...)
	answer, err := tpm.Send(command)
	if err != nil {
		return err
	}
	if len(answer) < header {
		return errors.New("the TPM's answer is too short")
	}
	if code := tpm2.TPMRC(binary.BigEndian.Uint32(answer[6:])); code != tpm2.TPMRCSuccess {
		return code
	}
	return nil
}

// runPolicy runs the commands of a policy in a session.
func runPolicy(tpm transport.TPM, session tpm2.TPMHandle, steps []policyStep) error {
	for _, step := range steps {
		isPCR := tpm2.TPMCC(step.command) == tpm2.TPMCCPolicyPCR
		if isPCR {
			if err := checkPCRs(tpm, step.body); err != nil {
				return err
			}
		}
		err := step.run(tpm, session)
		if err == nil {
			continue
		}
		name := "TPM2_" + policyCommands[tpm2.TPMCC(step.command)]
		if isPCR && answered(err, tpm2.TPMRCValue, tpm2.TPMRCPCRChanged) {
			return fmt.Errorf("%w: %s: the PCRs have other values than those the key was made for: %w", ErrPolicy, name, err)
		}
		return call(name, err)
	}
	return nil
}

// wantsPassword reports whether a policy asks for the key's password.
func wantsPassword(steps []policyStep) bool {
	return slices.ContainsFunc(steps, func(step policyStep) bool {
		return withoutPlain(step.command) == tpm2.TPMCCPolicyAuthValue
	})
}

// pcrStep is the command that asks for PCRs to have the values that they have now: an empty
// digest stands for those (TPM 2.0 Part 3, §23.7).
func pcrStep(selection tpm2.TPMLPCRSelection, digest []byte) policyStep {
	body := slices.Concat(tpm2.Marshal(tpm2.TPM2BDigest{Buffer: digest}), tpm2.Marshal(selection))
	return policyStep{command: uint32(tpm2.TPMCCPolicyPCR), body: body}
}

// withoutPlain replaces the command by which the TPM wants the password as it is
// (TPM2_PolicyPassword) by the one by which it wants it as the key of an HMAC
// (TPM2_PolicyAuthValue). To a key both are the same, as they give a policy the same digest
// (TPM 2.0 Part 3, §23.18), so whoever writes the file could choose.
func withoutPlain(command uint32) tpm2.TPMCC {
	if tpm2.TPMCC(command) == tpm2.TPMCCPolicyPassword {
		return tpm2.TPMCCPolicyAuthValue
	}
	return tpm2.TPMCC(command)
}
