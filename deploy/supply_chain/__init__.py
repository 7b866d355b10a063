"""What the images are made of: bills of materials, licences, and the audit. Standard library only: images run it too."""
