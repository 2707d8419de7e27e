"""What end-to-end tests share: real users, real servers in folders of their own, raw HTTP, FastCGI."""
