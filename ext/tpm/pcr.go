package tpm

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/certtoken/certtoken"
	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"golang.org/x/crypto/cryptobyte"
)

// pcrBanks are the hashes of PCRs, by the names that tpm2-tools has for them.
var pcrBanks = map[string]tpm2.TPMAlgID{
	"sha1": tpm2.TPMAlgSHA1, "sha256": tpm2.TPMAlgSHA256, "sha384": tpm2.TPMAlgSHA384, "sha512": tpm2.TPMAlgSHA512,
}

const pcrs = 24 // of a PC (TCG PC Client Platform TPM Profile, §4.6)

// parsePCRs reads a selection as tpm2-tools write it: sha256:0,7 or sha1:1+sha256:0,2,7.
func parsePCRs(text string) (tpm2.TPMLPCRSelection, error) {
	var selection tpm2.TPMLPCRSelection
	for bank := range strings.SplitSeq(text, "+") {
		name, numbers, _ := strings.Cut(bank, ":")
		hash, ok := pcrBanks[strings.ToLower(strings.TrimSpace(name))]
		used := slices.ContainsFunc(selection.PCRSelections, func(s tpm2.TPMSPCRSelection) bool { return s.Hash == hash })
		if !ok || used {
			return selection, pcrError(text)
		}
		selected := make([]byte, pcrs/8)
		for number := range strings.SplitSeq(numbers, ",") {
			n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 8)
			if err != nil || n >= pcrs {
				return selection, pcrError(text)
			}
			selected[n/8] |= 1 << (n % 8)
		}
		selection.PCRSelections = append(selection.PCRSelections, tpm2.TPMSPCRSelection{Hash: hash, PCRSelect: selected})
	}
	return selection, nil
}

func pcrError(text string) error {
	return fmt.Errorf("the PCRs %q are not a list such as sha256:0,7 or sha1:1+sha256:0,7, with numbers up to %d",
		shortened(text), pcrs-1)
}

// shortened cuts a text for an error.
func shortened(text string) string {
	const limit = 80
	if len(text) > limit {
		return strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}

// checkPCRs refuses a policy of PCRs that the TPM doesn't have. A TPM leaves those out of the
// policy without a word (TPM 2.0 Part 3, §23.7), and a key that is bound to nothing else would
// be bound to nothing. The parameters are those of TPM2_PolicyPCR.
func checkPCRs(tpm transport.TPM, parameters []byte) error {
	wanted, ok := unmarshalPCRs(parameters)
	if !ok {
		return fmt.Errorf("%w: the PCRs of the key's policy can't be read", certtoken.ErrFormat)
	}
	answer, err := tpm2.GetCapability{Capability: tpm2.TPMCapPCRs, PropertyCount: 1}.Execute(tpm)
	if err != nil {
		return call("TPM2_GetCapability", err)
	}
	has, err := answer.CapabilityData.Data.AssignedPCR()
	if err != nil {
		return fmt.Errorf("TPM2_GetCapability: %w", err)
	}
	for _, bank := range wanted {
		if missing := missingPCRs(bank, has.PCRSelections); len(missing) > 0 {
			return unsupported("the TPM has no PCRs %s:%s, so nothing can be bound to them; "+
				"\"tpm2_getcap pcrs\" lists those that it has", bankName(bank.Hash), strings.Join(missing, ","))
		}
	}
	return nil
}

// unmarshalPCRs reads the PCRs of a TPM2_PolicyPCR: after the digest of their values there is
// a list of banks (TPML_PCR_SELECTION).
func unmarshalPCRs(parameters []byte) (banks []tpm2.TPMSPCRSelection, ok bool) {
	body := cryptobyte.String(parameters)
	var digest cryptobyte.String
	var count uint32
	if !body.ReadUint16LengthPrefixed(&digest) || !body.ReadUint32(&count) {
		return nil, false
	}
	for range count {
		var hash uint16
		var selected cryptobyte.String
		if !body.ReadUint16(&hash) || !body.ReadUint8LengthPrefixed(&selected) {
			return nil, false
		}
		banks = append(banks, tpm2.TPMSPCRSelection{Hash: tpm2.TPMAlgID(hash), PCRSelect: selected})
	}
	return banks, body.Empty()
}

// missingPCRs are the numbers of a bank's PCRs that a TPM doesn't have.
func missingPCRs(bank tpm2.TPMSPCRSelection, has []tpm2.TPMSPCRSelection) (missing []string) {
	isThere := func(n int) bool {
		return slices.ContainsFunc(has, func(h tpm2.TPMSPCRSelection) bool {
			return h.Hash == bank.Hash && n/8 < len(h.PCRSelect) && h.PCRSelect[n/8]&(1<<(n%8)) != 0
		})
	}
	for n := range 8 * len(bank.PCRSelect) {
		if bank.PCRSelect[n/8]&(1<<(n%8)) != 0 && !isThere(n) {
			missing = append(missing, strconv.Itoa(n))
		}
	}
	return missing
}

// bankName is the name of a bank for people.
func bankName(hash tpm2.TPMAlgID) string {
	for name, known := range pcrBanks {
		if known == hash {
			return name
		}
	}
	return fmt.Sprintf("%#x", uint16(hash))
}
