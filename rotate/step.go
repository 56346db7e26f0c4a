package rotate

// Step is a step of a rotation.
type Step string

// The steps, in their order.
const (
	StepWait     Step = "wait"     // until the certificate ends soon
	StepMake     Step = "make"     // a new key and its certificate, in a file beside the present one
	StepRegister Step = "register" // the new one beside the old one
	StepConfirm  Step = "confirm"  // that the server grants tokens for the new one
	StepSwitch   Step = "switch"   // the new file takes the place of the old one
	StepUse      Step = "use"      // the client is granted a token for the new one
	StepRemove   Step = "remove"   // the old one from the server
)

// Explain says in words what the step does, to follow "next: ".
func (s Step) Explain() string {
	switch s {
	case StepWait:
		return "wait until the certificate ends soon, then begin a rotation"
	case StepMake:
		return "make a new key and its certificate, in a file beside the present one"
	case StepRegister:
		return "register the new certificate beside the old one"
	case StepConfirm:
		return "find out whether tokens are granted for the new certificate; the old one goes on signing"
	case StepSwitch:
		return "put the new file in the place of the old one"
	case StepUse:
		return "see the client being granted a token for the new certificate"
	case StepRemove:
		return "remove the old certificate from the registration"
	}
	return "unknown step"
}
