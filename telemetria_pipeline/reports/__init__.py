"""What people open: plots, pages and workbooks, in Portuguese. Pure: frames in, text or bytes out."""
