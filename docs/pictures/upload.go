package main

// upload is the way of the certificate's two halves: one to the portal, one to the
// service.
func upload() *drawing {
	d := &drawing{
		name: "upload", title: "What is uploaded where", width: 900, height: 370,
		description: "certtoken cert new makes two files. public.cer is uploaded in the Entra admin centre: App " +
			"registrations, your app, Certificates & secrets, the tab Certificates, Upload certificate, Add. The thumbprint that the portal " +
			"then shows must be the SHA-1 that certtoken cert show prints. private.pfx and its password go to the service " +
			"and nowhere else.",
	}
	d.box("ours", rect{24, 116, 190, 60}, "certtoken cert new", "makes two files")
	d.box("", rect{270, 64, 150, 60}, "public.cer", "is no secret")
	d.box("secret", rect{270, 276, 150, 60}, "private.pfx", "is secret")
	d.arrow("", [2]float64{214, 136}, [2]float64{242, 136}, [2]float64{242, 94}, [2]float64{268, 94})
	d.arrow("", [2]float64{119, 176}, [2]float64{119, 306}, [2]float64{268, 306})

	d.boxes = append(d.boxes, box{rect{480, 20, 396, 226}, "server"})
	d.text(bold, 500, 46, "start", "Entra admin centre")
	for i, step := range []string{
		"1.  App registrations  →  your app",
		"2.  Certificates & secrets",
		"3.  Certificates, not Client secrets",
		"4.  Upload certificate  →  public.cer  →  Add",
		"5.  Compare the thumbprint: it must be the SHA-1",
		"     that certtoken cert show private.pfx prints",
	} {
		d.text(note, 500, 76+float64(i)*24, "start", step)
	}
	d.text(note, 500, 228, "start", "Another one here: AADSTS700027 later")
	d.arrow("", [2]float64{420, 94}, [2]float64{478, 94})
	d.box("ours", rect{480, 276, 396, 60}, "Your service, your vault", "the file and its password, and nowhere else")
	d.arrow("", [2]float64{420, 306}, [2]float64{478, 306})
	return d
}
