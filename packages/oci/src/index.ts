// SPDX-License-Identifier: Apache-2.0
export {
  type ArchiveContents,
  type ArchivedImage,
  type ImageReference,
  archiveBlocks,
  compressedBytes,
  joinArchives,
  readArchive,
} from './archive.ts';
export { type Architecture, ELF_MACHINES, type ElfSummary, isElf, readElf, stripSections } from './elf.ts';
export {
  CAPABILITY_NUMBERS,
  CAPABILITY_XATTR,
  type CapabilityName,
  type FileCapabilities,
  decodeFileCapabilities,
  encodeFileCapabilities,
} from './file-capabilities.ts';
export { type Descriptor, type Image, type ImageParts, type ImageSettings, MEDIA_TYPES, buildImage } from './image.ts';
export { type Layer, LayerError, archiveLayer, arrangeEntries, buildLayer, compressLayer, sha256 } from './layer.ts';
export { lookUp, rootFilesystem } from './root-filesystem.ts';
export { type SoftwareList, type SoftwarePart, spdxDocument } from './spdx.ts';
export { TarFormatError, readTar } from './tar-reader.ts';
export { type TarEntry, tarBlocks, writeTar } from './tar-writer.ts';
