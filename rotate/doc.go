// Package rotate replaces a client's certificate, or key, before it ends, and leaves no
// moment in which the server knows none of them.
//
//	r, err := rotate.New(client, rotate.Graph(appObjectID), "/etc/my-app")
//	…
//	err = r.Run(ctx) // until ctx ends
//
// # The steps
//
//	wait      until the certificate ends soon (Options.Before)
//	make      a key and a certificate, in a file beside the present one
//	register  the new one at the server, beside the old one (Registrar)
//	confirm   that the server grants tokens for the new one; the old one goes on signing
//	switch    the new file takes the old one's name, by rename
//	use       the client is granted a token for the new one
//	remove    the old one from the server, days later (Options.RemoveAfter)
//
// After each step its result is written to a state file, and each step can be repeated. A
// program that is killed at any point and started again goes on where it was. A key is
// removed from the server only if it was in the client's file or made for it, by its id, and
// after the client was granted a token for the newer one. One whose id isn't known is reported
// as an orphan ([Status.Orphans]). No list of keys is ever replaced at the server.
//
// While a step fails, Status.Failing and the log say why and what to do by hand. Nothing is
// lost by that: the old key goes on signing until the switch, and stays registered after it.
//
// # Files
//
// The client must follow a file by [certtoken.CertFile] or [certtoken.KeyFile], or by
// [HeldKey] for a key in an HSM, a TPM or a vault. Beside that file, here app.pem, there are
//
//	app.pem.rotation.json   the state: what was done, and when the next step is due
//	app.pem.rotation.lock   is locked while a step is made
//	app.pem.next            the new pair, from its making until the switch
//
// A file app.pem.next that the rotation hasn't made is left alone, and no rotation begins while it
// is there. The state holds no secret and has mode 0600. The new file has the form of the old one (PEM,
// PFX or DER, in one file or with a key file), its password, its mode and its owner. If
// app.pem is a symbolic link, it stays, the file that it points to is replaced, and the files
// above are beside that.
//
// # A fleet
//
// Several processes may rotate the same file, on one machine or by a shared file system: one
// of them makes a step while the others wait, by a lock of the file or by Options.Lock.
// Everybody's client follows the file.
package rotate
