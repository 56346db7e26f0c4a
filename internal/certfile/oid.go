package certfile

// Object identifiers that decide what is done; those that are only named in
// errors are in algorithmName.
const (
	oidData          = "1.2.840.113549.1.7.1"
	oidSignedData    = "1.2.840.113549.1.7.2"
	oidEnvelopedData = "1.2.840.113549.1.7.3"
	oidEncryptedData = "1.2.840.113549.1.7.6"

	oidKeyBag          = "1.2.840.113549.1.12.10.1.1"
	oidShroudedKeyBag  = "1.2.840.113549.1.12.10.1.2"
	oidCertBag         = "1.2.840.113549.1.12.10.1.3"
	oidSecretBag       = "1.2.840.113549.1.12.10.1.5"
	oidSafeContentsBag = "1.2.840.113549.1.12.10.1.6"
	oidGroupSecret     = "1.3.6.1.4.1.311.17.4" // szOID_PKCS_12_PROTECTED_PASSWORD_SECRET_BAG_TYPE_ID
	oidX509Certificate = "1.2.840.113549.1.9.22.1"

	// Keys of a TPM: loadable, importable, sealed (TCG).
	oidTPMKey        = "2.23.133.10.1.3"
	oidTPMImportable = "2.23.133.10.1.4"
	oidTPMSealed     = "2.23.133.10.1.5"

	oidRSA    = "1.2.840.113549.1.1.1"
	oidRSAPSS = "1.2.840.113549.1.1.10"
	oidEC     = "1.2.840.10045.2.1"
	oidP256   = "1.2.840.10045.3.1.7"
	oidP384   = "1.3.132.0.34"
	oidP521   = "1.3.132.0.35"

	oidPrimeField  = "1.2.840.10045.1.1" // of a curve that is given by its numbers
	oidBinaryField = "1.2.840.10045.1.2"

	oidEd25519 = "1.3.101.112"

	oidX500RSA = "2.5.8.1.1" // id-ea-rsa of X.509 (1988)

	oidPBEMD2DES     = "1.2.840.113549.1.5.1"
	oidPBEMD5DES     = "1.2.840.113549.1.5.3"
	oidPBEMD5RC2     = "1.2.840.113549.1.5.6"
	oidPBESHA1DES    = "1.2.840.113549.1.5.10"
	oidPBESHA1RC2    = "1.2.840.113549.1.5.11"
	oidPKCS12RC4128  = "1.2.840.113549.1.12.1.1"
	oidPKCS12RC440   = "1.2.840.113549.1.12.1.2"
	oidPKCS123DES    = "1.2.840.113549.1.12.1.3"
	oidPKCS122KeyDES = "1.2.840.113549.1.12.1.4"
	oidPKCS12RC2128  = "1.2.840.113549.1.12.1.5"
	oidPKCS12RC240   = "1.2.840.113549.1.12.1.6"

	oidPBES2  = "1.2.840.113549.1.5.13"
	oidPBKDF2 = "1.2.840.113549.1.5.12"
	oidPBMAC1 = "1.2.840.113549.1.5.14"
	oidScrypt = "1.3.6.1.4.1.11591.4.11"

	oidAES128CBC = "2.16.840.1.101.3.4.1.2"
	oidAES192CBC = "2.16.840.1.101.3.4.1.22"
	oidAES256CBC = "2.16.840.1.101.3.4.1.42"
	oid3DESCBC   = "1.2.840.113549.3.7"
	oidRC2CBC    = "1.2.840.113549.3.2"
	oidDESCBC    = "1.3.14.3.2.7"

	oidHMACSHA1 = "1.2.840.113549.2.7"
)

// algorithmName is what people call an identifier, or the identifier itself.
func algorithmName(oid string) string {
	names := map[string]string{
		oidPBEMD2DES:     "pbeWithMD2AndDES-CBC",
		oidPBEMD5DES:     "pbeWithMD5AndDES-CBC",
		oidPBEMD5RC2:     "pbeWithMD5AndRC2-CBC",
		oidPBESHA1DES:    "pbeWithSHA1AndDES-CBC",
		oidPBESHA1RC2:    "pbeWithSHA1AndRC2-CBC",
		oidPKCS12RC4128:  "pbeWithSHAAnd128BitRC4",
		oidPKCS12RC440:   "pbeWithSHAAnd40BitRC4",
		oidPKCS123DES:    "pbeWithSHAAnd3-KeyTripleDES-CBC",
		oidPKCS122KeyDES: "pbeWithSHAAnd2-KeyTripleDES-CBC",
		oidPKCS12RC2128:  "pbeWithSHAAnd128BitRC2-CBC",
		oidPKCS12RC240:   "pbeWithSHAAnd40BitRC2-CBC",
		oidPBES2:         "PBES2",
		oidPBKDF2:        "PBKDF2",
		oidPBMAC1:        "PBMAC1",
		oidScrypt:        "scrypt",
		oidAES128CBC:     "AES-128-CBC",
		oidAES192CBC:     "AES-192-CBC",
		oidAES256CBC:     "AES-256-CBC",
		oid3DESCBC:       "DES-EDE3-CBC",
		oidRC2CBC:        "RC2-CBC",
		oidDESCBC:        "DES-CBC",

		"1.2.840.113549.1.5.4":           "pbeWithMD2AndRC2-CBC",
		"2.16.840.1.101.3.4.1.6":         "AES-128-GCM",
		"2.16.840.1.101.3.4.1.26":        "AES-192-GCM",
		"2.16.840.1.101.3.4.1.46":        "AES-256-GCM",
		"2.16.840.1.101.3.4.1.7":         "AES-128-CCM",
		"2.16.840.1.101.3.4.1.27":        "AES-192-CCM",
		"2.16.840.1.101.3.4.1.47":        "AES-256-CCM",
		"1.2.840.113549.3.4":             "RC4",
		"1.2.840.113549.3.9":             "RC5-CBC",
		"1.2.392.200011.61.1.1.1.2":      "Camellia-128-CBC",
		"1.2.392.200011.61.1.1.1.3":      "Camellia-192-CBC",
		"1.2.392.200011.61.1.1.1.4":      "Camellia-256-CBC",
		"1.2.410.200046.1.1.2":           "ARIA-128-CBC",
		"1.2.410.200046.1.1.12":          "ARIA-256-CBC",
		"1.2.410.200004.1.4":             "SEED-CBC",
		"1.2.410.200004.1.15":            "pbeWithSHA1AndSEED-CBC",
		"1.2.156.10197.1.104.2":          "SM4-CBC",
		"1.2.156.10197.1.401":            "SM3",
		"1.2.643.2.2.21":                 "GOST 28147-89",
		"1.2.643.7.1.1.5.2.2":            "Kuznyechik",
		"1.2.643.7.1.1.2.2":              "Streebog-256",
		"1.2.643.7.1.1.2.3":              "Streebog-512",
		"1.2.643.7.1.1.4.2":              "HMAC-Streebog-512",
		"1.3.6.1.4.1.3029.1.2":           "Blowfish-CBC",
		"1.2.840.113533.7.66.10":         "CAST5-CBC",
		"2.16.840.1.101.3.4.2.7":         "SHA3-224",
		"2.16.840.1.101.3.4.2.8":         "SHA3-256",
		"2.16.840.1.101.3.4.2.9":         "SHA3-384",
		"2.16.840.1.101.3.4.2.10":        "SHA3-512",
		"2.16.840.1.101.3.4.2.13":        "HMAC-SHA3-224",
		"2.16.840.1.101.3.4.2.14":        "HMAC-SHA3-256",
		"2.16.840.1.101.3.4.2.15":        "HMAC-SHA3-384",
		"2.16.840.1.101.3.4.2.16":        "HMAC-SHA3-512",
		"1.3.36.3.2.1":                   "RIPEMD-160",
		"1.3.6.1.4.1.22554.1.2.1.2.1.2":  "pbeWithSHA1And128BitAES-CBC",
		"1.3.6.1.4.1.22554.1.2.1.2.1.22": "pbeWithSHA1And192BitAES-CBC",
		"1.3.6.1.4.1.22554.1.2.1.2.1.42": "pbeWithSHA1And256BitAES-CBC",
		"1.3.6.1.4.1.11591.4.12":         "Argon2",
	}
	if name, ok := names[oid]; ok {
		return name
	}
	return "algorithm " + oid
}

// extensionName is what people call an extension of a certificate, with its
// identifier.
func extensionName(oid string) string {
	names := map[string]string{
		"2.5.29.14":               "subjectKeyIdentifier",
		"2.5.29.15":               "keyUsage",
		"2.5.29.17":               "subjectAltName",
		"2.5.29.18":               "issuerAltName",
		"2.5.29.19":               "basicConstraints",
		"2.5.29.30":               "nameConstraints",
		"2.5.29.31":               "cRLDistributionPoints",
		"2.5.29.32":               "certificatePolicies",
		"2.5.29.33":               "policyMappings",
		"2.5.29.35":               "authorityKeyIdentifier",
		"2.5.29.36":               "policyConstraints",
		"2.5.29.37":               "extKeyUsage",
		"2.5.29.54":               "inhibitAnyPolicy",
		"1.3.6.1.5.5.7.1.1":       "authorityInfoAccess",
		"1.3.6.1.4.1.11129.2.4.2": "signed certificate timestamps",
	}
	if name, ok := names[oid]; ok {
		return name + " (" + oid + ")"
	}
	return oid
}
