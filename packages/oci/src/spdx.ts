// SPDX-License-Identifier: Apache-2.0
/*
 * The list of software in an image as an SPDX 2.3 document in JSON. It says what was put in and under which checksum; licences are stated where
 * the source states them, else `NOASSERTION`. No clock and no random identifier: equal images have equal documents.
 */
import { createHash } from 'node:crypto';

/** One piece of software. */
export interface SoftwarePart {
  readonly name: string;
  readonly version: string;
  /** Package URL, `pkg:deb/debian/libc6@2.41-12?arch=amd64` say. */
  readonly purl: string;
  /** An SPDX expression. */
  readonly licence?: string;
  readonly supplier?: string;
  /** Lower-case hexadecimal. */
  readonly sha256?: string;
}

/** What the document is about. */
export interface SoftwareList {
  /** The image's reference. */
  readonly name: string;
  readonly version: string;
  /** Digest of the image's manifest. */
  readonly digest: string;
  /** RFC 3339. */
  readonly created: string;
  readonly parts: readonly SoftwarePart[];
}

const DOCUMENT_ID = 'SPDXRef-DOCUMENT';
const IMAGE_ID = 'SPDXRef-image';

/** The document's text. */
export function spdxDocument(list: SoftwareList): string {
  const parts = [...list.parts].sort((a, b) => (a.purl < b.purl ? -1 : 1));
  return `${JSON.stringify(
    {
      spdxVersion: 'SPDX-2.3',
      dataLicense: 'CC0-1.0',
      SPDXID: DOCUMENT_ID,
      name: list.name,
      documentNamespace: `https://weft.dev/spdx/${list.digest.replace(':', '-')}`,
      creationInfo: { created: list.created, creators: ['Organization: Weft', 'Tool: @weft/oci'] },
      documentDescribes: [IMAGE_ID],
      packages: [
        {
          SPDXID: IMAGE_ID,
          name: list.name,
          versionInfo: list.version,
          downloadLocation: 'NOASSERTION',
          filesAnalyzed: false,
          primaryPackagePurpose: 'CONTAINER',
          checksums: [{ algorithm: 'SHA256', checksumValue: list.digest.replace('sha256:', '') }],
          licenseConcluded: 'NOASSERTION',
          licenseDeclared: 'Apache-2.0',
          copyrightText: 'NOASSERTION',
        },
        ...parts.map((part) => ({
          SPDXID: partId(part),
          name: part.name,
          versionInfo: part.version,
          downloadLocation: 'NOASSERTION',
          filesAnalyzed: false,
          ...(part.supplier === undefined ? {} : { supplier: `Organization: ${part.supplier}` }),
          ...(part.sha256 === undefined ? {} : { checksums: [{ algorithm: 'SHA256', checksumValue: part.sha256 }] }),
          licenseConcluded: 'NOASSERTION',
          licenseDeclared: part.licence ?? 'NOASSERTION',
          copyrightText: 'NOASSERTION',
          externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: part.purl }],
        })),
      ],
      relationships: [
        { spdxElementId: DOCUMENT_ID, relationshipType: 'DESCRIBES', relatedSpdxElement: IMAGE_ID },
        ...parts.map((part) => ({ spdxElementId: IMAGE_ID, relationshipType: 'CONTAINS', relatedSpdxElement: partId(part) })),
      ],
    },
    undefined,
    2,
  )}\n`;
}

/** SPDX identifiers take letters, digits, `.` and `-` only. */
function partId(part: SoftwarePart): string {
  const readable = part.name.replace(/[^A-Za-z0-9.-]+/g, '-');
  return `SPDXRef-${readable}-${createHash('sha256').update(part.purl).digest('hex').slice(0, 12)}`;
}
