package rotate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/certtoken/certtoken"
)

// adviceFor says what to do by hand if a step goes on failing.
func adviceFor(step Step, err error, registrar string) string {
	var advising interface{ rotationAdvice() string }
	if errors.As(err, &advising) {
		if advice := advising.rotationAdvice(); advice != "" {
			return advice
		}
	}
	switch {
	case errors.Is(err, ErrState):
		return "restore the state file from a backup; without one, see to it that the certificate in the file is " +
			"registered, and remove the files that end in " + stateSuffix + " and " + nextSuffix + ": the next run begins " +
			"anew; keys that were added before aren't reported any more, so remove by hand those that the " +
			"registration still has"
	case errors.Is(err, errForeignNext):
		return "if the registration has its certificate, put it in the place of the present one; else move it away"
	case errors.Is(err, fs.ErrPermission):
		return "run this as the user who may write the certificate's folder and file"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "it is tried again"
	}
	switch step {
	case StepWait, StepMake:
		return "see to it that the present certificate file can be read and its folder written"
	case StepRegister:
		return fmt.Sprintf("if it goes on, register the certificate in the file that ends in %s by hand, beside the "+
			"present one; the rotation then finds that tokens are granted for it (%s)", nextSuffix, registrar)
	case StepConfirm:
		return "look at the registration: the new certificate must be there, beside the old one, which goes on " +
			"signing; if it isn't, register the one in the file that ends in " + nextSuffix
	case StepSwitch:
		return fmt.Sprintf("the new certificate is registered: rename the file that ends in %s by hand to the name "+
			"without that, and its key file first if there is one", nextSuffix)
	case StepUse:
		return "the file should hold the new certificate: look at the registration, and whether the client can read the " +
			"file; nothing is removed before it was granted a token"
	case StepRemove:
		return "remove the old certificate from the registration by hand; see the status for its thumbprint"
	}
	return "it is tried again"
}

// refusesKey reports whether a token endpoint refused the client, which it does as long as it
// doesn't know the key.
func refusesKey(err error) bool {
	var refusal *certtoken.TokenError
	if !errors.As(err, &refusal) {
		return false
	}
	switch refusal.Code {
	case "invalid_client", "unauthorized_client":
		return true
	}
	return refusal.StatusCode == 401
}
