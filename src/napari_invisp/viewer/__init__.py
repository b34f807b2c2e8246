"""All that knows napari or Qt: readers, writers, sample data, the dock widget."""
